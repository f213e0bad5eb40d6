import type { Certificate } from './certificate.ts';
import { printable } from './printable.ts';
import type { NameConstraints, Subtree } from './extensions.ts';
import type { GeneralName } from './general-name.ts';

// Names times subtrees; OpenSSL bounds the same product. A CA that needs more is attacking somebody.
const maxComparisons = 65_536;
// Characters of one name; DNS names and mailboxes end at 255.
const maxNameLength = 1024;

/** Whether a name lies in a subtree; `unclear` when the form cannot be compared or the name has no such part. */
type Match = 'inside' | 'outside' | 'unclear';

/**
 * RFC 5280 4.2.1.10: whether every name of `certificate` is one that its issuer may give out. Returns a phrase
 * that says which name broke which rule, or `undefined`.
 */
export function violatedConstraint(certificate: Certificate, constraints: NameConstraints): string | undefined {
  const names = namesOf(certificate);
  if (names.length * (constraints.permitted.length + constraints.excluded.length) > maxComparisons) return 'too many names to compare';
  for (const name of names) {
    const violation = violationOf(name, constraints);
    if (violation !== undefined) return violation;
  }
  return undefined;
}

function violationOf(name: GeneralName, { permitted, excluded }: NameConstraints): string | undefined {
  const relevantPermitted = permitted.filter((subtree) => concerns(subtree, name));
  const relevantExcluded = excluded.filter((subtree) => concerns(subtree, name));
  const relevant = [...relevantPermitted, ...relevantExcluded];
  if (relevant.length === 0) return undefined;
  if ('value' in name && name.value.length > maxNameLength) return `${describe(name)} is too long to compare`;
  if (relevant.some((subtree) => subtree.hasDistance))
    return `the constraint on ${describe(name)} uses minimum or maximum, which nobody implements`;
  if (relevant.some((subtree) => match(name, subtree.base) === 'unclear')) return `the constraint on ${describe(name)} cannot be compared`;
  if (relevantPermitted.length > 0 && !relevantPermitted.some((subtree) => match(name, subtree.base) === 'inside')) {
    return `${describe(name)} is not among the permitted names`;
  }
  if (relevantExcluded.some((subtree) => match(name, subtree.base) === 'inside')) return `${describe(name)} is excluded`;
  return undefined;
}

// The subject counts as a directoryName unless it is empty, its e-mail addresses as e-mail names (also beside a
// subjectAltName, which is stricter than RFC 5280 and what OpenSSL does).
function namesOf(certificate: Certificate): readonly GeneralName[] {
  const name = certificate.subjectName;
  const directory: GeneralName[] = name.rdnKeys.length === 0 ? [] : [{ form: 'directory', name }];
  const emails = name.emailAddresses.map((value): GeneralName => ({ form: 'email', value }));
  return [...directory, ...emails, ...certificate.subjectAlternativeNames];
}

function concerns({ base }: Subtree, name: GeneralName): boolean {
  if (base.form === 'other') return name.form === 'other' && base.kind === name.kind;
  return base.form === name.form;
}

function match(name: GeneralName, base: GeneralName): Match {
  if (name.form === 'directory' && base.form === 'directory')
    return inside(base.name.rdnKeys.every((key, index) => key === name.name.rdnKeys[index]));
  if (name.form === 'ip' && base.form === 'ip') return matchIp(name.bytes, base.bytes);
  if (name.form === 'dns' && base.form === 'dns') return inside(matchDns(name.value.toLowerCase(), base.value.toLowerCase()));
  if (name.form === 'email' && base.form === 'email') return matchEmail(name.value, base.value);
  if (name.form === 'uri' && base.form === 'uri') return matchUri(name.value, base.value.toLowerCase());
  return 'unclear';
}

const inside = (yes: boolean): Match => (yes ? 'inside' : 'outside');

/** `example.com` covers itself and everything below; the common `.example.com` only what is below. */
function matchDns(name: string, base: string): boolean {
  if (base === '' || name === base) return true;
  return name.endsWith(base.startsWith('.') ? base : `.${base}`);
}

/** A base is a mailbox, a host (`example.com`) or all hosts of a domain (`.example.com`). */
function matchEmail(name: string, base: string): Match {
  const at = name.lastIndexOf('@');
  if (at < 0) return 'unclear';
  const host = name.slice(at + 1).toLowerCase();
  const baseAt = base.lastIndexOf('@');
  const baseHost = base.slice(baseAt + 1).toLowerCase();
  if (baseAt < 0 && base.startsWith('.')) return inside(host.endsWith(baseHost));
  // The part before the @ is compared with case (RFC 5280 7.5).
  if (baseAt > 0 && base.slice(0, baseAt) !== name.slice(0, at)) return 'outside';
  return inside(host === baseHost);
}

/** The constraint is on the host; a URI without one, or with an IP address, must be refused. */
function matchUri(name: string, base: string): Match {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?([^/?#:@[\]]+)(?::\d*)?(?:[/?#]|$)/iu.exec(name)?.[1]?.toLowerCase();
  if (authority === undefined || /^[\d.]+$/u.test(authority)) return 'unclear';
  return inside(base.startsWith('.') ? authority.endsWith(base) : authority === base);
}

/** A base is an address and a mask of the same length. */
function matchIp(name: Uint8Array, base: Uint8Array): Match {
  const isAddress = name.length === 4 || name.length === 16;
  const isRange = base.length === 8 || base.length === 32;
  if (!isAddress || !isRange) return 'unclear';
  if (base.length !== name.length * 2) return 'outside';
  return inside(name.every((byte, index) => ((byte ^ (base[index] ?? 0)) & (base[index + name.length] ?? 0)) === 0));
}

function describe(name: GeneralName): string {
  if (name.form === 'directory') return `the name ${printable(name.name.text)}`;
  if (name.form === 'ip') return 'an IP address';
  if (name.form === 'other') return 'a name of an uncommon form';
  return `the ${name.form} name ${printable(name.value)}`;
}
