import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';

import type { Certificate, CertificateSignature } from './certificate.ts';
import { CertificateFormatError } from './certificate-format-error.ts';
import { contextConstructed, DerReader, readOid, smallInteger, tags } from './der.ts';
import { keyAlgorithms } from './public-key.ts';

/** Why a signature does not count; `invalid` means that the numbers are wrong. */
export type SignatureVerdict = 'valid' | 'invalid' | 'weak-algorithm' | 'unsupported-algorithm' | 'algorithm-mismatch';

/**
 * Moduli below this are refused: 1024 bits is the floor of OpenSSL's security level 1, at which Node serves TLS,
 * so a device that got through the handshake is not refused here for its key.
 */
export const minRsaBits = 1024;
/** Moduli above this are refused for issuers, because checking a signature costs their square. */
const maxRsaBits = 8192;

/** Curves on which an issuer may sign: P-256, P-384, P-521. */
const curves = new Set(['1.2.840.10045.3.1.7', '1.3.132.0.34', '1.3.132.0.35']);

type Scheme = {
  readonly keys: readonly string[];
  readonly hash: string | null;
  readonly pssSaltLength?: number;
};

const rsa = (hash: string): Scheme => ({ keys: [keyAlgorithms.rsa], hash });
const ecdsa = (hash: string): Scheme => ({ keys: [keyAlgorithms.ec], hash });

const schemes: Readonly<Record<string, Scheme>> = {
  '1.2.840.113549.1.1.11': rsa('sha256'),
  '1.2.840.113549.1.1.12': rsa('sha384'),
  '1.2.840.113549.1.1.13': rsa('sha512'),
  '1.2.840.10045.4.3.2': ecdsa('sha256'),
  '1.2.840.10045.4.3.3': ecdsa('sha384'),
  '1.2.840.10045.4.3.4': ecdsa('sha512'),
  '1.3.101.112': { keys: [keyAlgorithms.ed25519], hash: null },
};

const pssOid = '1.2.840.113549.1.1.10';
const mgf1Oid = '1.2.840.113549.1.1.8';
const derNull = '0500';

/** Signatures with MD2, MD5 and SHA-1, whose collisions can be bought. */
const weak = new Set([
  '1.2.840.113549.1.1.2',
  '1.2.840.113549.1.1.4',
  '1.2.840.113549.1.1.5',
  '1.3.14.3.2.29',
  '1.2.840.10040.4.3',
  '1.2.840.10045.4.1',
]);

const hashes: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
const sha1Oid = '1.3.14.3.2.26';

// Both are facts about immutable values, so they may outlive a call: a CA's key costs 145 us to decode, and
// intermediates are verified under their root again and again.
const keys = new WeakMap<Certificate, KeyObject | 'unusable'>();
const verdicts = new WeakMap<Certificate, WeakMap<Certificate, SignatureVerdict>>();

/** Whether the key of `issuer` made the signature of `certificate`. Looks at nothing else; does not throw. */
export function verifySignature(certificate: Certificate, issuer: Certificate): SignatureVerdict {
  const known = verdicts.get(certificate) ?? new WeakMap<Certificate, SignatureVerdict>();
  const remembered = known.get(issuer);
  if (remembered !== undefined) return remembered;
  const verdict = verifySignedBy(certificate.signature, issuer);
  known.set(issuer, verdict);
  verdicts.set(certificate, known);
  return verdict;
}

/** The same for anything that a CA signs as it signs certificates; remembers nothing. */
export function verifySignedBy(signature: CertificateSignature, issuer: Certificate): SignatureVerdict {
  if (!signature.algorithmsAgree) return 'algorithm-mismatch';
  const scheme = schemeOf(signature);
  if (typeof scheme === 'string') return scheme;
  if (!scheme.keys.includes(issuer.publicKey.algorithm)) return 'invalid';
  if (isWeakKey(issuer)) return 'weak-algorithm';
  const key = isUsableKey(issuer) ? keyOf(issuer) : 'unusable';
  if (key === 'unusable') return 'unsupported-algorithm';
  return isSignedBy(key, scheme, signature) ? 'valid' : 'invalid';
}

/** RSA keys too short to be trusted at all. */
export function isWeakKey(certificate: Certificate): boolean {
  return (certificate.publicKey.rsaBits ?? minRsaBits) < minRsaBits;
}

function isUsableKey({ publicKey }: Certificate): boolean {
  if (publicKey.algorithm === keyAlgorithms.ec) return curves.has(publicKey.curve ?? '');
  return (publicKey.rsaBits ?? 0) <= maxRsaBits;
}

function keyOf(certificate: Certificate): KeyObject | 'unusable' {
  const known = keys.get(certificate);
  if (known !== undefined) return known;
  const key = orUnusable(() => createPublicKey({ key: Buffer.from(certificate.publicKey.der), format: 'der', type: 'spki' }));
  keys.set(certificate, key);
  return key;
}

function isSignedBy(key: KeyObject, scheme: Scheme, signature: CertificateSignature): boolean {
  const padding = scheme.pssSaltLength === undefined ? {} : { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: scheme.pssSaltLength };
  return orUnusable(() => verify(scheme.hash, signature.tbs, { key, ...padding }, signature.value)) === true;
}

/** OpenSSL throws for keys and signatures that cannot be decoded. Here that is an answer; anything else is a bug. */
function orUnusable<T>(fn: () => T): T | 'unusable' {
  try {
    return fn();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code.startsWith('ERR_OSSL') || code.startsWith('ERR_CRYPTO')) return 'unusable';
    throw error;
  }
}

function schemeOf(signature: CertificateSignature): Scheme | 'weak-algorithm' | 'unsupported-algorithm' {
  if (weak.has(signature.algorithm)) return 'weak-algorithm';
  const parameters = Buffer.from(signature.parameters ?? []);
  if (signature.algorithm === pssOid) return pssScheme(parameters) ?? 'unsupported-algorithm';
  const scheme = schemes[signature.algorithm];
  if (scheme === undefined) return 'unsupported-algorithm';
  // RFC 4055 wants NULL for RSA, many leave it out; the others must have none.
  const isPlain = parameters.length === 0 || (scheme.keys.includes(keyAlgorithms.rsa) && parameters.toString('hex') === derNull);
  return isPlain ? scheme : 'unsupported-algorithm';
}

// RSASSA-PSS-params (RFC 4055 3.1). Every field has a default, and the default hash is SHA-1.
function pssScheme(parameters: Buffer): Scheme | 'weak-algorithm' | undefined {
  const fields = readPssParameters(parameters);
  if (fields === undefined) return undefined;
  if (fields.hash === sha1Oid || fields.maskHash === sha1Oid) return 'weak-algorithm';
  const hash = hashes[fields.hash];
  if (hash === undefined || fields.maskHash !== fields.hash || fields.trailer !== 1) return undefined;
  return {
    keys: [keyAlgorithms.rsa, keyAlgorithms.rsaPss],
    hash,
    pssSaltLength: fields.saltLength,
  };
}

function readPssParameters(parameters: Buffer) {
  const what = 'the PSS parameters';
  try {
    const fields = new DerReader(parameters).enter(tags.sequence, what);
    const hash = fields.at(contextConstructed(0)) ? readHash(fields.enter(contextConstructed(0), what)) : sha1Oid;
    const maskHash = fields.at(contextConstructed(1)) ? readMaskHash(fields.enter(contextConstructed(1), what)) : sha1Oid;
    const saltLength = readNumber(fields, 2) ?? 20;
    const trailer = readNumber(fields, 3) ?? 1;
    fields.finish(what);
    return { hash, maskHash, saltLength, trailer };
  } catch (error) {
    // Parameters are free-form until an algorithm gives them a meaning, so nobody has read them before.
    if (error instanceof CertificateFormatError) return undefined;
    throw error;
  }
}

function readHash(reader: DerReader): string {
  return readOid(reader.enter(tags.sequence, 'the PSS hash'), 'the PSS hash');
}

function readMaskHash(reader: DerReader): string {
  const mask = reader.enter(tags.sequence, 'the PSS mask');
  return readOid(mask, 'the PSS mask') === mgf1Oid ? readHash(mask) : '';
}

function readNumber(reader: DerReader, tag: number): number | undefined {
  if (!reader.at(contextConstructed(tag))) return undefined;
  return smallInteger(reader.enter(contextConstructed(tag), 'a PSS number').content(tags.integer, 'a PSS number'), 'a PSS number');
}
