import type { Instant } from '../kernel/clock.ts';

/** Why a credential proves nothing; a stable word for the log. */
export type ProofRefusal =
  | 'nothing-presented'
  | 'token-malformed'
  | 'token-expired'
  | 'token-resource'
  | 'token-policy'
  | 'token-right'
  | 'token-signature'
  | 'token-not-accepted'
  | 'certificate-unreadable'
  | 'certificate-not-accepted'
  | 'certificate-not-yet-valid'
  | 'certificate-expired'
  | 'thumbprint'
  | 'common-name'
  | 'chain';

/** What a credential proves about one identity, whatever the identity's status is. */
export type ProofVerdict =
  | {
      readonly ok: true;
      readonly method: 'sas' | 'x509';
      readonly scope: 'device' | 'hub';
      /** Of what proved it, see `stamps.ts`. */
      readonly stamps: readonly string[];
      readonly expiresAt?: Instant;
    }
  | { readonly ok: false; readonly reason: ProofRefusal; /** For the log; no secrets. */ readonly detail?: string };
