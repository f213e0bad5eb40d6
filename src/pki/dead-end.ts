import { assertNever } from '../kernel/assert-never.ts';
import { type Certificate, isSelfIssued } from './certificate.ts';
import { nameOf, printable } from './printable.ts';
import { isWeakKey, type SignatureVerdict } from './signature.ts';

/** Why a search for a path could not go on at some certificate. */
export type DeadEndReason =
  | Exclude<SignatureVerdict, 'valid' | 'invalid'>
  | 'signature'
  | 'issuer-not-found'
  | 'untrusted-root'
  | 'path-too-long'
  | 'search-limit';

export interface DeadEnd {
  readonly reason: DeadEndReason;
  readonly trail: Trail;
  /** Whole sentences, given the name of the certificate: what is wrong with it, what to do. Most are never asked for. */
  readonly sentence: (name: string) => string;
}

/** The way from the leaf (whose `below` is absent) up to a certificate. */
export interface Trail {
  readonly certificate: Certificate;
  readonly below: Trail | undefined;
  /** Number of certificates, this one included. */
  readonly length: number;
  /** Whether no key identifier on the way contradicts it. */
  readonly plausible: boolean;
}

export function trailOf(leaf: Certificate): Trail {
  return { certificate: leaf, below: undefined, length: 1, plausible: true };
}

/** One certificate further up. */
export function extendTrail(trail: Trail, issuer: Certificate): Trail {
  const plausible = trail.plausible && !keyIdsDiffer(trail.certificate, issuer);
  return { certificate: issuer, below: trail, length: trail.length + 1, plausible };
}

/** The certificates of a trail, leaf first. */
export function certificatesOf(trail: Trail): readonly Certificate[] {
  const certificates: Certificate[] = [];
  for (let step: Trail | undefined = trail; step !== undefined; step = step.below) certificates.push(step.certificate);
  return certificates.toReversed();
}

/** No candidate has the name of the issuer. */
export function noIssuer(trail: Trail): DeadEnd {
  if (isSelfIssued(trail.certificate)) return untrustedRoot(trail);
  const issuer = printable(trail.certificate.issuer);
  return at(
    trail,
    'issuer-not-found',
    (name) =>
      `The ${name} names ${issuer} as its issuer, and no such CA certificate was presented or uploaded. Upload it, or let the device send it.`,
  );
}

export function pathTooLong(trail: Trail, limit: number): DeadEnd {
  return at(
    trail,
    'path-too-long',
    (name) => `The path is longer than ${limit} certificates, and the ${name} is not yet trusted. Trust a CA further down.`,
  );
}

export function searchLimit(trail: Trail): DeadEnd {
  return at(
    trail,
    'search-limit',
    (name) =>
      `Too many certificates could have issued the ${name}, so the search was given up. Present or upload fewer CA certificates of the same name.`,
  );
}

/** A trusted or vouched-for candidate has the name of the issuer, but its key does not verify the signature. */
export function badSignature(trail: Trail, issuer: Certificate, verdict: Exclude<SignatureVerdict, 'valid'>): DeadEnd {
  switch (verdict) {
    case 'weak-algorithm':
      return at(trail, verdict, (name) => weakSentence(name, issuer));
    case 'unsupported-algorithm':
      return at(
        trail,
        verdict,
        (name) =>
          `The ${name} is signed with algorithm ${trail.certificate.signature.algorithm}, or by a kind of key, that is not supported. Use RSA, ECDSA on a NIST curve, or Ed25519.`,
      );
    case 'algorithm-mismatch':
      return at(trail, verdict, (name) => `The ${name} names two different signature algorithms, so no proper CA made it. Issue it again.`);
    case 'invalid':
      return invalid(trail, issuer);
    default:
      return assertNever(verdict);
  }
}

/** Whether the key identifiers say that this is another CA of the same name. */
export function keyIdsDiffer(certificate: Certificate, issuer: Certificate): boolean {
  return (
    certificate.authorityKeyId !== undefined && issuer.subjectKeyId !== undefined && certificate.authorityKeyId !== issuer.subjectKeyId
  );
}

function invalid(trail: Trail, issuer: Certificate): DeadEnd {
  // A root that is not trusted, beside a trusted one of the same name.
  if (isSelfIssued(trail.certificate) && !keyIdsDiffer(trail.certificate, trail.certificate)) return untrustedRoot(trail);
  if (keyIdsDiffer(trail.certificate, issuer)) {
    return at(
      trail,
      'issuer-not-found',
      (name) =>
        `The ${name} was issued by another CA of the same name than the ${nameOf(issuer)}: the key identifiers differ. Upload the CA certificate that really issued it.`,
    );
  }
  return at(
    trail,
    'signature',
    (name) =>
      `The ${name} names the ${nameOf(issuer)} as its issuer, but the key of that certificate did not sign it: it was altered, or issued by another CA of the same name.`,
  );
}

function untrustedRoot(trail: Trail): DeadEnd {
  return at(
    trail,
    'untrusted-root',
    (name) => `The ${name} is self-signed and not trusted here. If it should be, upload and verify it, or enroll it.`,
  );
}

function weakSentence(name: string, issuer: Certificate): string {
  if (isWeakKey(issuer))
    return `The ${name} is signed by the ${nameOf(issuer)}, whose RSA key of ${issuer.publicKey.rsaBits} bits is too short to be trusted. Replace that CA.`;
  return `The ${name} is signed with SHA-1 or MD5, which can be forged. Issue it again with SHA-256.`;
}

function at(trail: Trail, reason: DeadEndReason, sentence: (name: string) => string): DeadEnd {
  return { reason, trail, sentence };
}
