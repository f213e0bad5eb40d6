import { assertNever } from '../kernel/assert-never.ts';
import type { Ids } from '../kernel/ids.ts';
import { sealKey } from '../tpm/seal-key.ts';
import type { Proof } from './attestation/attestation.ts';
import type { DeviceAssignment, RegistrationRow } from './ports.ts';

/** What the hub will know a device by: what it has just proven with (chapter 7.1), or for a TPM a key of its own. */
export function hubCredential(proof: Proof): DeviceAssignment['credential'] {
  switch (proof.type) {
    case 'x509':
      return { type: 'selfSigned', primaryThumbprint: leafThumbprint(proof) };
    case 'symmetricKey':
      return { type: 'sas', primaryKey: proof.primaryKey, secondaryKey: proof.secondaryKey };
    case 'tpm':
      return { type: 'sas', primaryKey: proof.keys.hubPrimary, secondaryKey: proof.keys.hubSecondary };
    default:
      return assertNever(proof);
  }
}

/** What the registration record keeps of it: which leaf it was, nothing of a key, and for a TPM the hub's key sealed. */
export function recordedProof(proof: Proof, ids: Pick<Ids, 'bytes'>): Pick<RegistrationRow, 'leafSha256' | 'tpmAuthenticationKey'> {
  switch (proof.type) {
    case 'x509':
      return { leafSha256: leafThumbprint(proof) };
    case 'symmetricKey':
      return {};
    case 'tpm': {
      const sealed = sealKey(proof.identity, Buffer.from(proof.keys.hubPrimary, 'base64'), (length) => ids.bytes(length));
      return { tpmAuthenticationKey: sealed.toString('base64') };
    }
    default:
      return assertNever(proof);
  }
}

function leafThumbprint({ path: [leaf] }: Extract<Proof, { type: 'x509' }>): string {
  if (leaf === undefined) throw new Error('a device was admitted by a path without a leaf');
  return leaf.sha256;
}
