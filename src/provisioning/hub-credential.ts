import { assertNever } from '../kernel/assert-never.ts';
import type { Proof } from './attestation/attestation.ts';
import type { DeviceAssignment, RegistrationRow } from './ports.ts';

/** What the hub will know a device by: what it has just proven with (chapter 7.1). */
export function hubCredential(proof: Proof): DeviceAssignment['credential'] {
  switch (proof.type) {
    case 'x509':
      return { type: 'selfSigned', primaryThumbprint: leafThumbprint(proof) };
    case 'symmetricKey':
      return { type: 'sas', primaryKey: proof.primaryKey, secondaryKey: proof.secondaryKey };
    default:
      return assertNever(proof);
  }
}

/** What the registration record keeps of it: which leaf it was, and nothing of a key. */
export function leafOf(proof: Proof): Pick<RegistrationRow, 'leafSha256'> {
  return proof.type === 'x509' ? { leafSha256: leafThumbprint(proof) } : {};
}

function leafThumbprint({ path: [leaf] }: Extract<Proof, { type: 'x509' }>): string {
  if (leaf === undefined) throw new Error('a device was admitted by a path without a leaf');
  return leaf.sha256;
}
