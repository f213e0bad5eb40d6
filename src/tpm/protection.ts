import { constants, createCipheriv, createHmac, publicEncrypt } from 'node:crypto';

import type { StorageKey } from './public-area.ts';
import { sized, uint32 } from './structure.ts';

/** Bytes of a seed: as many as the digest that makes the names of the keys has. */
export const seedBytes = 32;

/** KDFa with SHA-256 (part 1 section 11.4.10.2), for at most one digest of output. */
export function deriveKey(
  key: Uint8Array,
  purpose: { readonly label: string; readonly context?: Uint8Array; readonly bits: number },
): Buffer {
  const hmac = createHmac('sha256', key).update(uint32(1)).update(`${purpose.label}\0`);
  if (purpose.context !== undefined) hmac.update(purpose.context);
  return hmac
    .update(uint32(purpose.bits))
    .digest()
    .subarray(0, purpose.bits / 8);
}

/** AES-CFB with an initialisation vector of zeroes: each key here encrypts once. */
export function encryptOnce(key: Uint8Array, plain: Uint8Array): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-cfb`, key, Buffer.alloc(16));
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

/** A seed for the TPM that holds `parent` (part 1 section B.4): RSA-OAEP with the use as its label. */
export function encryptSeed(parent: StorageKey, label: 'IDENTITY' | 'DUPLICATE', seed: Uint8Array): Buffer {
  const options = {
    key: parent.publicKey,
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: 'sha256',
    oaepLabel: Buffer.from(`${label}\0`),
  };
  return publicEncrypt(options, seed);
}

/** The outer wrapper of credentials and duplicates (part 1 section 24.4): encrypted, and bound to the name of an object. */
export function wrap(seed: Uint8Array, name: Uint8Array, content: Uint8Array): Buffer {
  const encrypted = encryptOnce(deriveKey(seed, { label: 'STORAGE', context: name, bits: 128 }), content);
  const key = deriveKey(seed, { label: 'INTEGRITY', bits: 256 });
  const integrity = createHmac('sha256', key).update(encrypted).update(name).digest();
  return Buffer.concat([sized(integrity), encrypted]);
}
