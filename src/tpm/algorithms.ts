/** Identifiers of part 2 section 6.3 that provisioning uses. */
export const algorithms = {
  rsa: 0x0001,
  hmac: 0x0005,
  aes: 0x0006,
  keyedHash: 0x0008,
  sha256: 0x000b,
  null: 0x0010,
  cfb: 0x0043,
} as const;

/** Bits of TPMA_OBJECT (part 2 section 8.3). */
export const attributes = {
  fixedTpm: 0x0000_0002,
  fixedParent: 0x0000_0010,
  userWithAuth: 0x0000_0040,
  noDictionaryAttack: 0x0000_0400,
  restricted: 0x0001_0000,
  decrypt: 0x0002_0000,
  sign: 0x0004_0000,
} as const;
