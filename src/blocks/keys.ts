import { createHash } from 'node:crypto';

import { assertNever } from '../kernel/assert-never.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { Selector, SelectorKey, SelectorKind } from './block.ts';

/** What a certificate offers to a selector. */
export type CertificateFacts = Pick<
  Certificate,
  'sha256' | 'tbsSha256' | 'publicKeySha256' | 'issuer' | 'issuerKey' | 'serialNumber' | 'subject' | 'subjectKey'
>;

/** Everything that a block can know a peer by. */
export interface PeerFacts {
  readonly certificate?: CertificateFacts;
  readonly registrationId?: string;
  readonly deviceId?: string;
}

/** Kinds that a certificate has to be at hand for. */
export type CertificateSelectorKind = Exclude<SelectorKind, 'registrationId' | 'deviceId'>;

/** The keys under which the blocks that cover a peer are found, each from an index. */
export function keysOf({ certificate, registrationId, deviceId }: PeerFacts): readonly SelectorKey[] {
  return [
    ...(certificate === undefined ? [] : certificateKeys(certificate)),
    ...(registrationId === undefined ? [] : [selectRegistrationId(registrationId).key]),
    ...(deviceId === undefined ? [] : [selectDeviceId(deviceId).key]),
  ];
}

const certificateKinds: readonly CertificateSelectorKind[] = ['leaf', 'publicKey', 'issuerSerial', 'subject'];

// A fact about an immutable value, which every request of its holder asks for more than once.
const keysByCertificate = new WeakMap<CertificateFacts, readonly SelectorKey[]>();

function certificateKeys(certificate: CertificateFacts): readonly SelectorKey[] {
  const known = keysByCertificate.get(certificate);
  if (known !== undefined) return known;
  const keys = digestedKeys(certificate);
  keysByCertificate.set(certificate, keys);
  return keys;
}

function digestedKeys(certificate: CertificateFacts): readonly SelectorKey[] {
  return [`thumbprint:${certificate.sha256}`, ...certificateKinds.map((kind) => selectCertificate(kind, certificate).key)];
}

/** A selector that covers this certificate, and those that were issued again with the same property. */
export function selectCertificate(kind: CertificateSelectorKind, certificate: CertificateFacts): Selector {
  switch (kind) {
    case 'leaf':
      // By its signed part: an ECDSA signature can be written in another valid way, which changes the thumbprint.
      return { kind, value: certificate.sha256, key: `leaf:${certificate.tbsSha256}` };
    case 'publicKey':
      return { kind, value: certificate.publicKeySha256, key: `publicKey:${certificate.publicKeySha256}` };
    case 'issuerSerial': {
      const { issuer, issuerKey, serialNumber } = certificate;
      return { kind, value: `${serialNumber} of ${issuer}`, key: `issuerSerial:${serialNumber}/${digest(issuerKey)}` };
    }
    case 'subject':
      return { kind, value: certificate.subject, key: `subject:${digest(certificate.subjectKey)}` };
    default:
      return assertNever(kind);
  }
}

/**
 * A leaf of which only the SHA-256 is known: hex in either case, with or without colons. `undefined` when it is none.
 * With the certificate at hand, `selectCertificate` covers more.
 */
export function selectThumbprint(text: string): Selector | undefined {
  const value = text.replaceAll(':', '').toUpperCase();
  return /^[0-9A-F]{64}$/u.test(value) ? { kind: 'leaf', value, key: `thumbprint:${value}` } : undefined;
}

/** Registration ids compare without case. */
export function selectRegistrationId(value: string): Selector {
  return { kind: 'registrationId', value, key: `registrationId:${value.toLowerCase()}` };
}

/** Device ids compare with case. */
export function selectDeviceId(value: string): Selector {
  return { kind: 'deviceId', value, key: `deviceId:${value}` };
}

// Names may be long, and an index has to hold them.
function digest(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
