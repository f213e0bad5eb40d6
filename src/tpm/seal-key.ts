import { createHash } from 'node:crypto';

import { algorithms, attributes } from './algorithms.ts';
import { encryptOnce, encryptSeed, seedBytes, wrap } from './protection.ts';
import { objectName, type StorageKey } from './public-area.ts';
import { sized, uint16, uint32 } from './structure.ts';

/** The two keys of one TPM that a secret is meant for. */
export interface TpmIdentity {
  readonly endorsementKey: StorageKey;
  readonly storageRootKey: StorageKey;
}

const innerKeyBytes = 16;

/**
 * Seals an HMAC key so that only the TPM with both keys can use it: the activation blob of the provisioning service (DPS
 * chapter 2.6). The key travels as a duplicate for the storage root key (TPM2_Import). What encrypts it inside comes as a
 * credential for the endorsement key (TPM2_ActivateCredential), which a TPM gives away only while it holds the very storage
 * root key that was named; so neither key alone opens it.
 */
export function sealKey(
  { endorsementKey, storageRootKey }: TpmIdentity,
  hmacKey: Uint8Array,
  randomBytes: (length: number) => Uint8Array,
): Buffer {
  const innerKey = randomBytes(innerKeyBytes);
  const [credentialSeed, duplicateSeed] = [randomBytes(seedBytes), randomBytes(seedBytes)];
  const obfuscation = randomBytes(seedBytes);
  const publicArea = hmacPublicArea(obfuscation, hmacKey);
  const name = objectName(publicArea);
  const sensitive = sized(uint16(algorithms.keyedHash), sized(), sized(obfuscation), sized(hmacKey));
  const innerIntegrity = createHash('sha256').update(sensitive).update(name).digest();
  const inner = encryptOnce(innerKey, Buffer.concat([sized(innerIntegrity), sensitive]));
  return Buffer.concat([
    sized(wrap(credentialSeed, storageRootKey.name, sized(innerKey))),
    sized(encryptSeed(endorsementKey, 'IDENTITY', credentialSeed)),
    sized(wrap(duplicateSeed, name, inner)),
    sized(encryptSeed(storageRootKey, 'DUPLICATE', duplicateSeed)),
    sized(publicArea),
    // Clients log what stands here, and need nothing.
    sized(),
  ]);
}

/** TPMT_PUBLIC of a key that signs with HMAC-SHA256 and may be imported. Its `unique` is bound to the key (part 1 section 27.5.3.3). */
function hmacPublicArea(obfuscation: Uint8Array, hmacKey: Uint8Array): Buffer {
  const unique = createHash('sha256').update(obfuscation).update(hmacKey).digest();
  const may = attributes.sign | attributes.userWithAuth | attributes.noDictionaryAttack;
  return Buffer.concat([
    uint16(algorithms.keyedHash),
    uint16(algorithms.sha256),
    uint32(may),
    sized(),
    uint16(algorithms.hmac),
    uint16(algorithms.sha256),
    sized(unique),
  ]);
}
