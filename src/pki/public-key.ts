import { createHash } from 'node:crypto';

import { damaged, DerReader, readOid, tags } from './der.ts';

/** A SubjectPublicKeyInfo, as far as it must be understood before its key is used. */
export interface PublicKey {
  /** The SubjectPublicKeyInfo. */
  readonly der: Uint8Array;
  /** Upper-case hex of the SHA-256 of `der`. */
  readonly sha256: string;
  /** Object identifier of the key's algorithm. */
  readonly algorithm: string;
  /** Object identifier of the curve; only for EC keys on a named curve. */
  readonly curve?: string;
  /** Bits of the modulus; only for RSA keys. */
  readonly rsaBits?: number;
}

export const keyAlgorithms = {
  rsa: '1.2.840.113549.1.1.1',
  rsaPss: '1.2.840.113549.1.1.10',
  ec: '1.2.840.10045.2.1',
  ed25519: '1.3.101.112',
} as const;

/** Reads a SubjectPublicKeyInfo; throws `CertificateFormatError`. */
export function readPublicKey(reader: DerReader): PublicKey {
  const { der } = reader.element('the public key');
  const sequence = new DerReader(der).enter(tags.sequence, 'the public key');
  const identifier = sequence.enter(tags.sequence, "the public key's algorithm");
  const algorithm = readOid(identifier, "the public key's algorithm");
  const curve = identifier.at(tags.oid) ? readOid(identifier, "the public key's curve") : undefined;
  if (!identifier.done) identifier.skip("the public key's parameters");
  identifier.finish("the public key's algorithm");
  const bits = sequence.content(tags.bitString, "the public key's bits");
  sequence.finish('the public key');
  return {
    der,
    sha256: createHash('sha256').update(der).digest('hex').toUpperCase(),
    algorithm,
    ...(algorithm === keyAlgorithms.ec && curve !== undefined ? { curve } : {}),
    ...(isRsa(algorithm) ? { rsaBits: readModulusBits(bits) } : {}),
  };
}

function isRsa(algorithm: string): boolean {
  return algorithm === keyAlgorithms.rsa || algorithm === keyAlgorithms.rsaPss;
}

function readModulusBits(bits: Buffer): number {
  const key = new DerReader(bits.subarray(1)).enter(tags.sequence, 'the RSA key');
  const modulus = key.content(tags.integer, 'the RSA modulus');
  const leading = modulus[0] === 0 ? 1 : 0;
  const first = modulus[leading];
  if (first === undefined || (leading === 0 && first >= 0x80)) throw damaged('the RSA modulus', 'is not a positive number');
  return (modulus.length - leading) * 8 - Math.clz32(first) + 24;
}
