import type { Attestation } from './attestation.ts';
import { symmetricKey } from './symmetric-key.ts';
import { x509 } from './x509.ts';

/** Every way to attest that registration knows. An enrollment of a type that is missing here can be kept, but not registered with. */
export const attestations: readonly Attestation[] = [x509, symmetricKey];
