import type { Certificate } from '../../pki/certificate.ts';
import { type PathVerdict, verifyPath } from '../../pki/verify-path.ts';
import type { AdmissionQuestion } from './attestation.ts';

/** The certificates of one question, sorted by what they may be used for. */
export interface TrustPool {
  readonly anchors: readonly Certificate[];
  readonly verified: readonly Certificate[];
  /** Uploaded, verified or not, and in-line ones, before those that were sent: what is stored is remembered with its keys. */
  readonly intermediates: readonly Certificate[];
  /** Without what was sent. */
  readonly stored: readonly Certificate[];
}

/**
 * The trust rule: anchors are the verified CA certificates and the in-line signing certificates of groups;
 * `requireVerifiedCa` turns the second half off. Devices often send the leaf alone, so paths are completed from
 * everything that was uploaded.
 */
export function trustPool({ trust, requireVerifiedCa, presented }: AdmissionQuestion): TrustPool {
  const verified = trust.caCertificates.filter((ca) => ca.isVerified).map((ca) => ca.certificate);
  const stored = [...trust.caCertificates.map((ca) => ca.certificate), ...trust.signingCertificates];
  return {
    anchors: requireVerifiedCa ? verified : [...verified, ...trust.signingCertificates],
    verified,
    stored,
    intermediates: presented.kind === 'x509' ? [...stored, ...presented.sent] : stored,
  };
}

/** Whether a valid path leads from the leaf up to any anchor; `undefined` without a certificate. */
export function verifyPresented(question: AdmissionQuestion): PathVerdict | undefined {
  if (question.presented.kind !== 'x509') return undefined;
  const { intermediates, anchors } = trustPool(question);
  return verifyPath(question.presented.leaf, { intermediates, anchors, at: question.at });
}

/**
 * Whether a valid path leads from the leaf up to `certificate`, which an entry names. With `requireVerifiedCa` it has
 * to go on to a verified CA certificate, unless `certificate` is one; the whole path is then validated once more in one
 * piece, so that the constraints of the upper half bind the lower one.
 */
export function verifyPathThrough(certificate: Certificate, question: AdmissionQuestion): PathVerdict | undefined {
  const { presented, at, requireVerifiedCa } = question;
  if (presented.kind !== 'x509') return undefined;
  const pool = trustPool(question);
  const lower = verifyPath(presented.leaf, { intermediates: pool.intermediates, anchors: [certificate], at });
  const isVerified = pool.verified.some(({ sha256 }) => sha256 === certificate.sha256);
  if (!lower.ok || !requireVerifiedCa || isVerified) return lower;
  const upper = verifyPath(certificate, { intermediates: pool.intermediates, anchors: pool.verified, at });
  if (!upper.ok) return upper;
  const whole = [...lower.path, ...upper.path.slice(1)];
  return verifyPath(presented.leaf, { intermediates: whole.slice(1, -1), anchors: whole.slice(-1), at });
}
