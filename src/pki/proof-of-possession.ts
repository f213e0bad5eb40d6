import type { Instant } from '../kernel/clock.ts';
import type { Certificate } from './certificate.ts';
import { nameOf, printable } from './printable.ts';
import { type PathFailure, verifyPath } from './verify-path.ts';

export type ProofFailure = PathFailure | 'wrong-common-name' | 'not-issued-by-ca';

export type ProofVerdict = { readonly ok: true } | { readonly ok: false; readonly reason: ProofFailure; readonly detail: string };

export interface ProofOfPossession {
  /** The CA certificate whose private key somebody claims to hold. */
  readonly ca: Certificate;
  /** The certificate that he made with it. */
  readonly proof: Certificate;
  /** What the subject of the proof must have as its CN; compared exactly. */
  readonly verificationCode: string;
  readonly at: Instant;
}

/**
 * Azure's proof of possession: a certificate that carries the verification code as its CN, issued by the CA
 * itself. No intermediate may stand between, and the CA must be one that may issue at all.
 */
export function verifyProofOfPossession({ ca, proof, verificationCode, at }: ProofOfPossession): ProofVerdict {
  if (proof.sha256 === ca.sha256) {
    return no(
      'not-issued-by-ca',
      'This is the CA certificate itself. Issue a new certificate with its key, with the verification code as CN.',
    );
  }
  if (verificationCode === '' || proof.commonName !== verificationCode) {
    const found = proof.commonName === undefined ? 'no CN' : `CN ${printable(proof.commonName)}`;
    return no('wrong-common-name', `The ${nameOf(proof)} has ${found}, which is not the verification code that was generated last.`);
  }
  const verdict = verifyPath(proof, { intermediates: [], anchors: [ca], at });
  return verdict.ok ? { ok: true } : no(verdict.reason, verdict.detail);
}

function no(reason: ProofFailure, detail: string): ProofVerdict {
  return { ok: false, reason, detail };
}
