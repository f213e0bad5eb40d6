import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

import { algorithms, attributes } from './algorithms.ts';
import { StructureReader, uint16 } from './structure.ts';
import { TpmFormatError } from './tpm-format-error.ts';

/**
 * The public part of a storage key as a TPM writes it (TPM2B_PUBLIC, part 2 section 12.2.5): endorsement keys and storage
 * root keys made from the default RSA-2048 templates, which is what provisioning clients send.
 */
export interface StorageKey {
  /** TPM2B_PUBLIC as it was read, its size included. */
  readonly bytes: Uint8Array;
  /** Algorithm and digest of the public area (part 1 section 16). */
  readonly name: Uint8Array;
  readonly publicKey: KeyObject;
}

/**
 * Restricted decryption keys that cannot leave their TPM. A TPM holds a key with the first two attributes only if it has made
 * it itself, so whatever is sealed to one cannot be opened elsewhere.
 */
const required = attributes.fixedTpm | attributes.fixedParent | attributes.restricted | attributes.decrypt;
const modulusBytes = 256;
const sha256Bytes = 32;
/** The template of an endorsement key, which has a policy, is 316 bytes long. */
const mostBytes = 512;

/** Reads a TPM2B_PUBLIC and nothing behind it. Throws `TpmFormatError`. */
export function parseStorageKey(bytes: Uint8Array): StorageKey {
  if (bytes.length > mostBytes) throw new TpmFormatError('it is too long');
  const outer = new StructureReader(bytes);
  const area = outer.sized();
  outer.end();
  const reader = new StructureReader(area);
  checkKind(reader);
  const policy = reader.sized();
  if (policy.length !== 0 && policy.length !== sha256Bytes) throw new TpmFormatError('its policy is no SHA-256 digest');
  const exponent = readParameters(reader);
  const modulus = reader.sized();
  reader.end();
  const isWhole = modulus.length === modulusBytes && modulus.readUInt8(0) >= 0x80 && modulus.readUInt8(modulusBytes - 1) % 2 === 1;
  if (!isWhole) throw new TpmFormatError('its modulus has not 2048 bits');
  return { bytes: Buffer.from(bytes), name: objectName(area), publicKey: rsaKey(modulus, exponent) };
}

/** Name of the object with this TPMT_PUBLIC, for SHA-256. */
export function objectName(area: Uint8Array): Buffer {
  return Buffer.concat([uint16(algorithms.sha256), createHash('sha256').update(area).digest()]);
}

function checkKind(reader: StructureReader): void {
  if (reader.uint16() !== algorithms.rsa) throw new TpmFormatError('it is no RSA key');
  if (reader.uint16() !== algorithms.sha256) throw new TpmFormatError('its name is not made with SHA-256');
  const has = reader.uint32();
  if ((has & required) !== required || (has & attributes.sign) !== 0)
    throw new TpmFormatError('it is no storage key that stays in its TPM');
}

/** TPMS_RSA_PARMS (part 2 section 12.2.3.5). Returns the public exponent. */
function readParameters(reader: StructureReader): number {
  const protects = [reader.uint16(), reader.uint16(), reader.uint16()];
  if (protects.join() !== [algorithms.aes, 128, algorithms.cfb].join()) {
    throw new TpmFormatError('it does not protect what is below it with AES-128-CFB');
  }
  if (reader.uint16() !== algorithms.null) throw new TpmFormatError('it has a scheme of its own');
  if (reader.uint16() !== modulusBytes * 8) throw new TpmFormatError('it is no key of 2048 bits');
  const exponent = reader.uint32();
  if (exponent !== 0 && exponent !== 65_537) throw new TpmFormatError('its public exponent is not 65537');
  return 65_537;
}

function rsaKey(modulus: Uint8Array, exponent: number): KeyObject {
  const e = Buffer.from(exponent.toString(16).padStart(6, '0'), 'hex');
  const jwk = { kty: 'RSA', n: Buffer.from(modulus).toString('base64url'), e: e.toString('base64url') };
  return createPublicKey({ key: jwk, format: 'jwk' });
}
