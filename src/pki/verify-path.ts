import { assertNever } from '../kernel/assert-never.ts';
import type { Instant } from '../kernel/clock.ts';
import type { Certificate } from './certificate.ts';
import { type BrokenRule, checkPath, type PathRule } from './check-path.ts';
import { certificatesOf, type DeadEnd, type DeadEndReason } from './dead-end.ts';
import { createPathSearch } from './path-search.ts';
import { nameOf } from './printable.ts';
import { verifySignature } from './signature.ts';

/** Every reason for which a certificate is not trusted. */
export type PathFailure = PathRule | DeadEndReason;

export type PathVerdict =
  | { readonly ok: true; /** Leaf first, anchor last. */ readonly path: readonly Certificate[] }
  | {
      readonly ok: false;
      readonly reason: PathFailure;
      /** Whole sentences: which certificate, what is wrong with it, what to do. For operators, not for devices. */
      readonly detail: string;
      /** Where it broke. */
      readonly certificate: Certificate;
      /** As far as it was built, leaf first. */
      readonly path: readonly Certificate[];
    };

export interface PathOptions {
  /** Untrusted: what the peer sent and what was uploaded without being verified. Order, doubles and strangers do no harm. */
  readonly intermediates: readonly Certificate[];
  /** Trusted as they are, self-signed or not. A leaf that is itself listed here is its own path. */
  readonly anchors: readonly Certificate[];
  /** The moment at which every certificate of the path must be valid. */
  readonly at: Instant;
}

/** Complete paths whose rules are checked before giving up; more than one is rare (cross-signed CAs). */
const maxPaths = 32;

type Refusal = Extract<PathVerdict, { ok: false }>;

/** A refusal, written only if it turns out to be the one that tells most. */
interface Draft {
  readonly progress: number;
  readonly write: () => Refusal;
}

/**
 * RFC 5280 section 6: whether a path leads from `leaf` to an anchor, and if not, the most telling reason. Tries
 * alternatives, so one broken way does not hide a good one. Never throws for a "no".
 */
export function verifyPath(leaf: Certificate, options: PathOptions): PathVerdict {
  const search = createPathSearch(leaf, options);
  const refusals: Draft[] = [];
  for (const path of search.paths()) {
    const broken = checkPath(path, options.at);
    if (broken === undefined) return { ok: true, path };
    refusals.push(fromBrokenRule(broken, path));
    if (refusals.length >= maxPaths) break;
  }
  return mostTelling([...refusals, ...search.deadEnds.map(fromDeadEnd)]);
}

/**
 * Those of `candidates` whose name chains to `certificate` and whose key verifies its signature. Says nothing
 * about trust; used to walk above an anchor. The certificate itself is never among them.
 */
export function issuersOf(certificate: Certificate, candidates: readonly Certificate[]): readonly Certificate[] {
  return candidates.filter(
    (candidate) =>
      candidate.subjectKey === certificate.issuerKey &&
      candidate.sha256 !== certificate.sha256 &&
      verifySignature(certificate, candidate) === 'valid',
  );
}

/** A complete path tells more than a signature that failed, and that more than an issuer that is not there. */
const ranks = { complete: 1000, limit: 300, signature: 200, missing: 100, implausible: 0 } as const;

function fromBrokenRule({ reason, detail, certificate, index }: BrokenRule, path: readonly Certificate[]): Draft {
  // Near the leaf means that more of the path was in order.
  return { progress: ranks.complete - index, write: () => ({ ok: false, reason, detail, certificate, path }) };
}

function fromDeadEnd({ reason, trail, sentence }: DeadEnd): Draft {
  const { certificate, plausible, length } = trail;
  const write = (): Refusal => ({ ok: false, reason, detail: sentence(nameOf(certificate)), certificate, path: certificatesOf(trail) });
  return { progress: (plausible ? rankOf(reason) : ranks.implausible) + length, write };
}

function rankOf(reason: DeadEndReason): number {
  switch (reason) {
    case 'search-limit':
      return ranks.limit;
    case 'signature':
    case 'weak-algorithm':
    case 'unsupported-algorithm':
    case 'algorithm-mismatch':
      return ranks.signature;
    case 'issuer-not-found':
    case 'untrusted-root':
    case 'path-too-long':
      return ranks.missing;
    default:
      return assertNever(reason);
  }
}

function mostTelling(refusals: readonly Draft[]): PathVerdict {
  const [best] = refusals.toSorted((a, b) => b.progress - a.progress);
  if (best === undefined) throw new Error('a search without paths has at least one dead end');
  return best.write();
}
