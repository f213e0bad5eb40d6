import type { Certificate } from './certificate.ts';
import {
  badSignature,
  type DeadEnd,
  extendTrail,
  keyIdsDiffer,
  noIssuer,
  pathTooLong,
  searchLimit,
  type Trail,
  trailOf,
} from './dead-end.ts';
import { verifySignature } from './signature.ts';

/** Most certificates in one path, leaf and anchor included. */
const maxPathCertificates = 10;
/** Most signatures that one search checks. Only keys that an anchor vouches for are ever used for it. */
export const maxSignatureChecks = 128;
/** Most certificates that one search visits, counting each as often as it is met on another way. */
const maxVisits = 1000;

export interface PathSearch {
  /** Paths whose names chain and whose signatures hold, leaf first, anchor last; likeliest first. */
  paths(): Generator<readonly Certificate[]>;
  /** What was met so far that led nowhere. */
  readonly deadEnds: readonly DeadEnd[];
}

/**
 * Looks for ways from `leaf` up to an anchor.
 *
 * A signature is checked on the way back down, from the anchor: the key of an intermediate is used only after the
 * intermediate itself was found to be signed by a trusted one. So a stranger cannot make the server compute with
 * keys of his choice, and the three bounds above keep the rest small.
 */
export function createPathSearch(
  leaf: Certificate,
  pool: { anchors: readonly Certificate[]; intermediates: readonly Certificate[] },
): PathSearch {
  const isAnchor = (certificate: Certificate): boolean => pool.anchors.some((anchor) => anchor.sha256 === certificate.sha256);
  const namesakes = (name: string): readonly Certificate[] => {
    const isCalled = (candidate: Certificate): boolean => candidate.subjectKey === name;
    return distinct([...pool.anchors.filter(isCalled), ...pool.intermediates.filter(isCalled)]);
  };
  const deadEnds: DeadEnd[] = [];
  let visits = 0;
  let checks = 0;
  const isExhausted = (): boolean => visits > maxVisits || checks > maxSignatureChecks;

  function* climb(trail: Trail): Generator<readonly Certificate[]> {
    visits += 1;
    if (isAnchor(trail.certificate)) {
      yield [trail.certificate];
      return;
    }
    const issuers = namesakes(trail.certificate.issuerKey).filter((candidate) => !isOnTrail(candidate, trail));
    const end = endOf(trail, issuers.length);
    if (end !== undefined) {
      deadEnds.push(end);
      return;
    }
    for (const issuer of issuers.toSorted(byLikelihood(trail.certificate))) {
      if (isExhausted()) return;
      yield* through(issuer, trail);
    }
  }

  function* through(issuer: Certificate, trail: Trail): Generator<readonly Certificate[]> {
    for (const above of climb(extendTrail(trail, issuer))) {
      checks += 1;
      const end = isExhausted() ? searchLimit(trail) : endAt(issuer, trail);
      if (end !== undefined) {
        deadEnds.push(end);
        return;
      }
      yield [trail.certificate, ...above];
    }
  }

  function endOf(trail: Trail, issuers: number): DeadEnd | undefined {
    if (isExhausted()) return searchLimit(trail);
    if (issuers === 0) return noIssuer(trail);
    return trail.length < maxPathCertificates ? undefined : pathTooLong(trail, maxPathCertificates);
  }

  return { paths: () => climb(trailOf(leaf)), deadEnds };
}

function endAt(issuer: Certificate, trail: Trail): DeadEnd | undefined {
  const verdict = verifySignature(trail.certificate, issuer);
  return verdict === 'valid' ? undefined : badSignature(trail, issuer, verdict);
}

/** Certificates with the same bytes once; the first object stays, so that what is remembered about it is found. */
function distinct(certificates: readonly Certificate[]): readonly Certificate[] {
  const seen = new Map<string, Certificate>();
  for (const certificate of certificates) if (!seen.has(certificate.sha256)) seen.set(certificate.sha256, certificate);
  return [...seen.values()];
}

// The same name with the same key adds nothing but a loop, however often it was re-issued (RFC 4158 2.4.2).
function isOnTrail(candidate: Certificate, trail: Trail): boolean {
  for (let passed: Trail | undefined = trail; passed !== undefined; passed = passed.below) {
    const { subjectKey, publicKeySha256 } = passed.certificate;
    if (subjectKey === candidate.subjectKey && publicKeySha256 === candidate.publicKeySha256) return true;
  }
  return false;
}

/** Matching key identifiers before absent ones, differing ones last; anchors come first already and stay so among equals. */
function byLikelihood(certificate: Certificate): (a: Certificate, b: Certificate) => number {
  const rank = (issuer: Certificate): number => {
    if (certificate.authorityKeyId === undefined || issuer.subjectKeyId === undefined) return 1;
    return keyIdsDiffer(certificate, issuer) ? 2 : 0;
  };
  return (a, b) => rank(a) - rank(b);
}
