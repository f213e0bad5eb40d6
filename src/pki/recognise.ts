import { CertificateFormatError } from './certificate-format-error.ts';
import { contextConstructed, DerReader, readOid, tags } from './der.ts';

/**
 * Says in words what DER bytes are that were expected to be a certificate, with an article: `a private key`.
 * `undefined` when they look like nothing known. A certificate that is merely damaged counts as unknown, too.
 */
export function recogniseDer(der: Uint8Array): string | undefined {
  return shapes.find(({ matches }) => holds(matches, Buffer.from(der)))?.words;
}

/** The same for the labels of PEM blocks. */
export function recogniseLabel(label: string): string | undefined {
  if (label.endsWith('PRIVATE KEY')) return 'a private key';
  return labels[label];
}

const labels: Readonly<Record<string, string>> = {
  'CERTIFICATE REQUEST': 'a certificate signing request (CSR)',
  'NEW CERTIFICATE REQUEST': 'a certificate signing request (CSR)',
  'X509 CRL': 'a certificate revocation list',
  'PUBLIC KEY': 'a public key',
  'RSA PUBLIC KEY': 'a public key',
  'EC PARAMETERS': 'parameters of an elliptic curve',
  PKCS7: 'a PKCS#7 bundle',
  CMS: 'a PKCS#7 bundle',
  'TRUSTED CERTIFICATE': "a certificate in OpenSSL's own TRUSTED format",
};

const pkcs7Prefix = '1.2.840.113549.1.7.';

type Matches = (top: DerReader) => boolean;

/** In this order: each shape is told from those below it by how it begins. */
const shapes: readonly { readonly words: string; readonly matches: Matches }[] = [
  { words: 'a PKCS#12 file (.pfx, .p12)', matches: isPkcs12 },
  { words: 'a private key', matches: isPrivateKey },
  { words: 'an encrypted private key', matches: isEncryptedPrivateKey },
  { words: 'a PKCS#7 bundle', matches: (top) => readOid(top, '').startsWith(pkcs7Prefix) },
  { words: 'a public key', matches: isPublicKey },
  { words: 'a certificate signing request (CSR)', matches: isSigningRequest },
];

function holds(matches: Matches, der: Buffer): boolean {
  try {
    return matches(new DerReader(der).enter(tags.sequence, ''));
  } catch (error) {
    if (error instanceof CertificateFormatError) return false;
    throw error;
  }
}

// PFX ::= SEQUENCE { version INTEGER (3), authSafe ContentInfo, … } (RFC 7292)
function isPkcs12(top: DerReader): boolean {
  if (top.content(tags.integer, '')[0] !== 3) return false;
  return readOid(top.enter(tags.sequence, ''), '').startsWith(pkcs7Prefix);
}

// PKCS#8 and SEC 1 keys begin with a version and then their parts, PKCS#1 keys with a version and a long modulus.
function isPrivateKey(top: DerReader): boolean {
  top.content(tags.integer, '');
  if (top.at(tags.integer)) {
    top.skip('');
    return !top.done;
  }
  if (!top.at(tags.octetString)) top.enter(tags.sequence, '');
  return top.at(tags.octetString);
}

function isEncryptedPrivateKey(top: DerReader): boolean {
  readOid(top.enter(tags.sequence, ''), '');
  top.content(tags.octetString, '');
  return top.done;
}

function isPublicKey(top: DerReader): boolean {
  if (!top.at(tags.integer)) {
    readOid(top.enter(tags.sequence, ''), '');
    top.content(tags.bitString, '');
    return top.done;
  }
  top.skip('');
  top.content(tags.integer, '');
  return top.done;
}

// CertificationRequestInfo ::= SEQUENCE { version, subject, key, [0] attributes } (RFC 2986)
function isSigningRequest(top: DerReader): boolean {
  const info = top.enter(tags.sequence, '');
  info.content(tags.integer, '');
  for (let part = 0; part < 2; part += 1) {
    if (!info.at(tags.sequence)) return false;
    info.skip('');
  }
  return info.done || info.at(contextConstructed(0));
}
