import 'reflect-metadata';
import { webcrypto } from 'node:crypto';

import * as x509 from '@peculiar/x509';

import type { Instant } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { type Certificate, isSelfIssued } from './certificate.ts';
import {
  generateKeyPair,
  type IssuingKey,
  type KeyType,
  privateKeyPem,
  publicKeyDer,
  readPrivateKey,
  toIssuingKey,
} from './issuing-key.ts';
import { toPem } from './pem.ts';
import { nameOf } from './printable.ts';
import { parseCertificateUpload } from './upload.ts';

/** Whose key signs. */
export interface Issuer {
  /** PEM of the CA certificate first, and of those above it after, as `chainPem` of an issued CA. */
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** For an encrypted private key. */
  readonly passphrase?: string;
}

/** What every certificate needs to be told. */
export interface CertificateInput {
  readonly commonName: string;
  readonly keyType: KeyType;
  readonly notBefore: Instant;
  readonly notAfter: Instant;
  /** 16 bytes from a cryptographic source (`Ids.bytes(16)`); the top bits are set to make a positive number. */
  readonly serialBytes: Uint8Array;
}

export interface CaInput extends CertificateInput {
  /** How many intermediates may stand between this CA and a leaf; no limit if absent. */
  readonly pathLength?: number;
}

export interface IssuedCertificate {
  readonly certificatePem: string;
  /** PKCS#8, not encrypted. */
  readonly privateKeyPem: string;
  /** The certificate, then its issuers, without a self-signed root: what goes into a TLS handshake. */
  readonly chainPem: string;
}

const { KeyUsageFlags, ExtendedKeyUsage } = x509;
const caUsage = KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;

/** A self-signed CA. */
export function createRootCertificate(input: CaInput): Promise<IssuedCertificate> {
  return issue(input, undefined, caExtensions(input.pathLength));
}

/** A CA below another. */
export function createIntermediateCertificate(input: CaInput & { readonly issuer: Issuer }): Promise<IssuedCertificate> {
  return issue(input, input.issuer, caExtensions(input.pathLength));
}

/** A certificate for a device, with its registration id as common name; self-signed without an issuer. */
export function createDeviceCertificate(input: CertificateInput & { readonly issuer?: Issuer }): Promise<IssuedCertificate> {
  return issue(input, input.issuer, leafExtensions(input.keyType, ExtendedKeyUsage.clientAuth));
}

/** The proof that somebody holds the private key of a CA: the verification code as the common name. */
export function createVerificationCertificate(
  input: Omit<CertificateInput, 'commonName'> & { readonly verificationCode: string; readonly issuer: Issuer },
): Promise<IssuedCertificate> {
  const commonName = input.verificationCode;
  return issue({ ...input, commonName }, input.issuer, leafExtensions(input.keyType, ExtendedKeyUsage.clientAuth));
}

/** A TLS server certificate for DNS names and IP addresses; the first name is the common name, too. */
export async function createServerCertificate(
  input: Omit<CertificateInput, 'commonName'> & { readonly names: readonly string[]; readonly issuer: Issuer },
): Promise<IssuedCertificate> {
  const [commonName] = input.names;
  if (commonName === undefined) throw new ServiceError('ArgumentInvalid', 'A server certificate needs at least one name.');
  const names = input.names.map((value) => ({ type: isIpAddress(value) ? ('ip' as const) : ('dns' as const), value: serverName(value) }));
  const extensions = [...leafExtensions(input.keyType, ExtendedKeyUsage.serverAuth), new x509.SubjectAlternativeNameExtension(names)];
  return issue({ ...input, commonName }, input.issuer, extensions);
}

function caExtensions(pathLength: number | undefined): readonly x509.Extension[] {
  return [new x509.BasicConstraintsExtension(true, pathLength, true), new x509.KeyUsagesExtension(caUsage, true)];
}

function leafExtensions(keyType: KeyType, purpose: x509.ExtendedKeyUsage): readonly x509.Extension[] {
  // Key transport exists for RSA only (RFC 5480 3 forbids the bit for EC keys).
  const transport = keyType === 'p256' ? 0 : KeyUsageFlags.keyEncipherment;
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(KeyUsageFlags.digitalSignature | transport, true),
    new x509.ExtendedKeyUsageExtension([purpose]),
  ];
}

async function issue(
  input: CertificateInput,
  issuer: Issuer | undefined,
  extensions: readonly x509.Extension[],
): Promise<IssuedCertificate> {
  checkInput(input);
  const signer = issuer === undefined ? undefined : await openIssuer(issuer);
  const pair = await generateKeyPair(input.keyType);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: positiveSerial(input.serialBytes),
      subject: subjectName(input.commonName),
      issuer: signer?.name ?? subjectName(input.commonName),
      notBefore: new Date(input.notBefore),
      notAfter: new Date(input.notAfter),
      publicKey: pair.publicKey,
      signingKey: signer?.signing.key ?? pair.privateKey,
      signingAlgorithm: signer?.signing.algorithm ?? { ...pair.privateKey.algorithm, hash: 'SHA-256' },
      extensions: [...extensions, ...(await keyIdentifiers(pair.publicKey, signer?.certificate))],
    },
    webcrypto,
  );
  const certificatePem = toPem(new Uint8Array(certificate.rawData));
  return { certificatePem, privateKeyPem: await privateKeyPem(pair.privateKey), chainPem: certificatePem + (signer?.chainPem ?? '') };
}

interface Signer {
  readonly certificate: Certificate;
  readonly name: x509.Name;
  readonly signing: IssuingKey;
  readonly chainPem: string;
}

async function openIssuer(issuer: Issuer): Promise<Signer> {
  const chain = parseCertificateUpload(issuer.certificatePem);
  const [certificate] = chain;
  if (certificate === undefined) throw new ServiceError('ArgumentInvalid', 'The issuer has no certificate.');
  if (!certificate.isCa)
    throw new ServiceError('ArgumentInvalid', `The issuer, ${nameOf(certificate)}, is not a CA, so nobody would accept what it issues.`);
  const key = readPrivateKey(issuer.privateKeyPem, issuer.passphrase);
  if (!publicKeyDer(key).equals(certificate.publicKey.der)) {
    throw new ServiceError('ArgumentInvalid', `The private key does not belong to the certificate of the issuer, ${nameOf(certificate)}.`);
  }
  return {
    certificate,
    // The name as it is encoded there, so that it chains for byte-wise comparers, too.
    name: new x509.X509Certificate(Buffer.from(certificate.der)).subjectName,
    signing: await toIssuingKey(key),
    chainPem: chain
      .filter((above) => !isSelfIssued(above))
      .map((above) => toPem(above.der))
      .join(''),
  };
}

async function keyIdentifiers(publicKey: webcrypto.CryptoKey, issuer: Certificate | undefined): Promise<readonly x509.Extension[]> {
  const own = await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto);
  const above = issuer === undefined ? own.keyId : issuer.subjectKeyId;
  // An issuer without an identifier can only be found by its name.
  return above === undefined ? [own] : [own, new x509.AuthorityKeyIdentifierExtension(above.toLowerCase(), false)];
}

function checkInput({ commonName, notBefore, notAfter, serialBytes }: CertificateInput): void {
  if (commonName === '') throw new ServiceError('ArgumentInvalid', 'A certificate needs a common name.');
  if (notAfter <= notBefore) throw new ServiceError('ArgumentInvalid', 'A certificate must end after it begins.');
  if (serialBytes.length !== 16) throw new Error('a serial number takes 16 random bytes');
}

/** RFC 5280 4.1.2.2: positive, at most 20 bytes; never begins with a zero byte, so that all are equally long. */
function positiveSerial(bytes: Uint8Array): string {
  const serial = Buffer.from(bytes);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial.toString('hex');
}

function subjectName(commonName: string): x509.Name {
  return new x509.Name([{ CN: [{ utf8String: commonName }] }]);
}

function isIpAddress(name: string): boolean {
  return name.includes(':') || /^\d+\.\d+\.\d+\.\d+$/u.test(name);
}

function serverName(name: string): string {
  if (isIpAddress(name) || /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]{0,252})$/iu.test(name)) return name;
  throw new ServiceError('ArgumentInvalid', `'${name}' is neither a DNS name nor an IP address.`);
}
