import type { Instant } from '../kernel/clock.ts';
import { type Certificate, isSelfIssued } from './certificate.ts';
import { violatedConstraint } from './name-constraints.ts';
import { nameOf } from './printable.ts';
import { isWeakKey, minRsaBits } from './signature.ts';

/** Rules of RFC 5280 section 6 that concern a finished path, names and signatures apart. */
export type PathRule =
  | 'expired'
  | 'not-yet-valid'
  | 'not-a-ca'
  | 'path-length'
  | 'key-usage'
  | 'name-constraints'
  | 'unknown-critical-extension'
  | 'explicit-policy'
  | 'weak-algorithm';

/** Which rule was broken first, seen from the anchor. */
export interface BrokenRule {
  readonly reason: PathRule;
  /** A whole sentence, and what to do about it. */
  readonly detail: string;
  readonly certificate: Certificate;
  /** Where in the path: 0 is the leaf. */
  readonly index: number;
}

/** One certificate of a path with what the rules look at around it. */
interface Step {
  readonly certificate: Certificate;
  readonly index: number;
  readonly path: readonly Certificate[];
  readonly at: Instant;
}

type Refusal = Pick<BrokenRule, 'reason' | 'detail'> | undefined;

/** For every certificate, the anchor included: Azure checks the dates of the whole path, and so does OpenSSL. */
const everyCertificate: readonly ((step: Step) => Refusal)[] = [checkDates, checkCriticalExtensions, checkPolicy, checkKey, checkNames];
/** For every certificate that issued the next one. */
const everyIssuer: readonly ((step: Step) => Refusal)[] = [checkIsCa, checkKeyUsage, checkPathLength];

/**
 * RFC 5280 6.1.3 to 6.1.5 over a path (leaf first, anchor last) whose names chain and whose signatures have been
 * verified. The extensions of the anchor bind like those of any CA, as in OpenSSL; RFC 5280 leaves that open.
 *
 * Extended key usage is not looked at: Azure lets a device in whatever it says.
 */
export function checkPath(path: readonly Certificate[], at: Instant): BrokenRule | undefined {
  for (let index = path.length - 1; index >= 0; index -= 1) {
    const certificate = path[index];
    if (certificate === undefined) continue;
    const step = { certificate, index, path, at };
    const rules = index > 0 ? [...everyCertificate, ...everyIssuer] : everyCertificate;
    for (const rule of rules) {
      const refusal = rule(step);
      if (refusal !== undefined) return { ...refusal, certificate, index };
    }
  }
  return undefined;
}

// 6.1.3 (a) (2). Both ends belong to the period (4.1.2.5).
function checkDates({ certificate, at }: Step): Refusal {
  if (at > certificate.notAfter) {
    return {
      reason: 'expired',
      detail: `The ${nameOf(certificate)} expired at ${isoTime(certificate.notAfter)}; renew it.`,
    };
  }
  if (at < certificate.notBefore) {
    const detail = `The ${nameOf(certificate)} is valid only from ${isoTime(certificate.notBefore)}; wait, or check the clocks of this server and of the issuer.`;
    return { reason: 'not-yet-valid', detail };
  }
  return undefined;
}

// 6.1.4 (o), 6.1.5 (f)
function checkCriticalExtensions({ certificate }: Step): Refusal {
  const [oid] = certificate.unknownCriticalExtensions;
  if (oid === undefined) return undefined;
  const detail = `The ${nameOf(certificate)} has a critical extension ${oid} that is not understood here; issue it without, or not as critical.`;
  return { reason: 'unknown-critical-extension', detail };
}

// 6.1.4 (i): no policy tree is built, so a path that must have a policy cannot be shown to have one.
function checkPolicy({ certificate }: Step): Refusal {
  if (!certificate.requiresExplicitPolicy) return undefined;
  const detail = `The ${nameOf(certificate)} demands an explicit certificate policy (requireExplicitPolicy), which is not supported; issue it without policyConstraints.`;
  return { reason: 'explicit-policy', detail };
}

function checkKey({ certificate }: Step): Refusal {
  if (!isWeakKey(certificate)) return undefined;
  const detail = `The ${nameOf(certificate)} has an RSA key of ${certificate.publicKey.rsaBits} bits; at least ${minRsaBits} are needed, and 2048 are usual.`;
  return { reason: 'weak-algorithm', detail };
}

// 6.1.3 (b) and (c): constraints of all CAs above; self-issued certificates are exempt unless they come last.
function checkNames({ certificate, index, path }: Step): Refusal {
  if (index > 0 && isSelfIssued(certificate)) return undefined;
  for (const above of path.slice(index + 1)) {
    const violation = above.nameConstraints && violatedConstraint(certificate, above.nameConstraints);
    if (violation === undefined) continue;
    const detail = `The ${nameOf(certificate)} has a name that its issuer may not give: by the name constraints of the ${nameOf(above)}, ${violation}.`;
    return { reason: 'name-constraints', detail };
  }
  return undefined;
}

// 6.1.4 (k). Versions 1 and 2 have no extensions, so they cannot say that they are a CA, and nothing else is asked.
function checkIsCa({ certificate, index, path }: Step): Refusal {
  if (certificate.isCa) return undefined;
  const why = certificate.version === 3 ? 'its basicConstraints do not say CA:TRUE' : `it is of version ${certificate.version}`;
  return {
    reason: 'not-a-ca',
    detail: `The ${nameOf(certificate)} issued ${issued(path, index)} but is not a CA: ${why}.`,
  };
}

// 6.1.4 (n). Without the extension every use is allowed.
function checkKeyUsage({ certificate, index, path }: Step): Refusal {
  if (certificate.keyUsage === undefined || certificate.keyUsage.has('keyCertSign')) return undefined;
  return {
    reason: 'key-usage',
    detail: `The ${nameOf(certificate)} issued ${issued(path, index)}, but its keyUsage lacks keyCertSign.`,
  };
}

// 6.1.4 (l) and (m): intermediates between this CA and the leaf, self-issued ones not counted.
function checkPathLength({ certificate, index, path }: Step): Refusal {
  const below = path.slice(1, index).filter((intermediate) => !isSelfIssued(intermediate)).length;
  if (below <= (certificate.pathLength ?? below)) return undefined;
  const detail = `The ${nameOf(certificate)} allows ${certificate.pathLength} intermediates below it (pathLenConstraint), but there are ${below}.`;
  return { reason: 'path-length', detail };
}

function issued(path: readonly Certificate[], index: number): string {
  const below = path[index - 1];
  return below === undefined ? 'a certificate' : `the ${nameOf(below)}`;
}

// Years that toISOString writes with a sign cannot occur: the encoding has four digits.
function isoTime(at: Instant): string {
  return new Date(at).toISOString().replace('.000Z', 'Z');
}
