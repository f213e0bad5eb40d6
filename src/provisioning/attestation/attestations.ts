import type { StoredAttestation } from '../ports.ts';
import type { Attestation } from './attestation.ts';
import { symmetricKey } from './symmetric-key.ts';
import { tpm } from './tpm.ts';
import { x509 } from './x509.ts';

const byType: Readonly<Record<StoredAttestation['type'], Attestation>> = { x509, symmetricKey, tpm };

/** Every way to attest, in the order in which they are asked about groups. */
export const attestations: readonly Attestation[] = Object.values(byType);

/** The way that an enrollment asks for. */
export function attestationOf({ attestation }: { readonly attestation: StoredAttestation }): Attestation {
  return byType[attestation.type];
}
