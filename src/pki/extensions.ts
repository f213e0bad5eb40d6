import { contextConstructed, contextPrimitive, damaged, DerReader, readFlag, readOid, smallInteger, tags } from './der.ts';
import { type GeneralName, readGeneralName } from './general-name.ts';

/** Bits of keyUsage in the order of RFC 5280 4.2.1.3. */
const keyUsages = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;
type KeyUsage = (typeof keyUsages)[number];

/** One subtree of a nameConstraints extension. */
export interface Subtree {
  readonly base: GeneralName;
  /** Uses `minimum` or `maximum`, which RFC 5280 4.2.1.10 does not allow and nobody implements. */
  readonly hasDistance: boolean;
}

export interface NameConstraints {
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
}

/** What the extensions of a certificate say. */
export interface Extensions {
  /** basicConstraints cA. */
  readonly isCa: boolean;
  /** basicConstraints pathLenConstraint; only present for CAs. */
  readonly pathLength?: number;
  /** Absent when the extension is absent, which allows every use. */
  readonly keyUsage?: ReadonlySet<KeyUsage>;
  /** Object identifiers; absent when the extension is absent. */
  readonly extendedKeyUsage?: readonly string[];
  /** Upper-case hex. */
  readonly subjectKeyId?: string;
  /** Upper-case hex of the keyIdentifier field. */
  readonly authorityKeyId?: string;
  readonly subjectAlternativeNames: readonly GeneralName[];
  readonly nameConstraints?: NameConstraints;
  /** A policyConstraints extension with requireExplicitPolicy is present. */
  readonly requiresExplicitPolicy: boolean;
  /** Object identifiers of critical extensions that nothing here interprets. */
  readonly unknownCriticalExtensions: readonly string[];
}

type Draft = { -readonly [K in keyof Extensions]: Extensions[K] };
type Decode = (value: DerReader, draft: Draft) => void;

/** Every extension that is understood; a critical one outside this table makes a path invalid. */
const decoders: Readonly<Record<string, Decode>> = {
  '2.5.29.14': (value, draft) => {
    draft.subjectKeyId = hex(value.content(tags.octetString, 'subjectKeyIdentifier'));
  },
  '2.5.29.15': readKeyUsage,
  '2.5.29.17': (value, draft) => {
    draft.subjectAlternativeNames = readGeneralNames(value, 'subjectAltName');
  },
  '2.5.29.19': readBasicConstraints,
  '2.5.29.30': readNameConstraints,
  '2.5.29.35': readAuthorityKeyIdentifier,
  '2.5.29.36': readPolicyConstraints,
  '2.5.29.37': readExtendedKeyUsage,
  // Without an explicit policy these three cannot change a verdict: the initial policy set is any-policy, so an
  // empty policy tree is acceptable (RFC 5280 6.1.5 (g)).
  '2.5.29.32': (value) => value.skip('certificatePolicies'),
  '2.5.29.33': (value) => value.skip('policyMappings'),
  '2.5.29.54': (value) => value.skip('inhibitAnyPolicy'),
  // Says where revocation lists are. Blocking is done by enrollments, not by lists, so there is nothing to fetch.
  '2.5.29.31': (value) => value.skip('cRLDistributionPoints'),
};

/** An empty set, for certificates of version 1 and 2. */
export const noExtensions: Extensions = {
  isCa: false,
  subjectAlternativeNames: [],
  requiresExplicitPolicy: false,
  unknownCriticalExtensions: [],
};

/** Reads the content of `[3] EXPLICIT Extensions`; throws `CertificateFormatError`. */
export function readExtensions(reader: DerReader): Extensions {
  const draft: Draft = { ...noExtensions };
  const unknownCritical: string[] = [];
  const seen = new Set<string>();
  const list = reader.enter(tags.sequence, 'the list of extensions');
  if (list.done) throw damaged('the list of extensions', 'is empty');
  while (!list.done) {
    const extension = list.enter(tags.sequence, 'an extension');
    const oid = readOid(extension, "an extension's identifier");
    // RFC 5280 4.2: a second instance would leave open which one counts.
    if (seen.has(oid)) throw damaged(`extension ${oid}`, 'occurs twice');
    seen.add(oid);
    const critical = readFlag(extension, `the critical flag of extension ${oid}`);
    const content = extension.content(tags.octetString, `extension ${oid}`);
    extension.finish(`extension ${oid}`);
    const decode = decoders[oid];
    if (decode !== undefined) decodeWhole(decode, oid, { content, draft });
    else if (critical) unknownCritical.push(oid);
  }
  draft.unknownCriticalExtensions = unknownCritical;
  return draft;
}

function decodeWhole(decode: Decode, oid: string, { content, draft }: { content: Buffer; draft: Draft }): void {
  const value = new DerReader(content);
  decode(value, draft);
  value.finish(`extension ${oid}`);
}

function readKeyUsage(value: DerReader, draft: Draft): void {
  const bits = value.content(tags.bitString, 'keyUsage').subarray(1);
  draft.keyUsage = new Set(keyUsages.filter((_, index) => ((bits[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0));
}

function readBasicConstraints(value: DerReader, draft: Draft): void {
  const sequence = value.enter(tags.sequence, 'basicConstraints');
  draft.isCa = readFlag(sequence, 'basicConstraints cA');
  if (!sequence.done) {
    const pathLength = smallInteger(
      sequence.content(tags.integer, 'basicConstraints pathLenConstraint'),
      'basicConstraints pathLenConstraint',
    );
    // "CA:FALSE, pathlen:0" is a common slip of openssl configurations; the number means nothing there.
    if (draft.isCa) draft.pathLength = pathLength;
  }
  sequence.finish('basicConstraints');
}

function readExtendedKeyUsage(value: DerReader, draft: Draft): void {
  const sequence = value.enter(tags.sequence, 'extKeyUsage');
  const purposes: string[] = [];
  while (!sequence.done) purposes.push(readOid(sequence, 'extKeyUsage'));
  draft.extendedKeyUsage = purposes;
}

function readAuthorityKeyIdentifier(value: DerReader, draft: Draft): void {
  const what = 'authorityKeyIdentifier';
  const sequence = value.enter(tags.sequence, what);
  if (sequence.at(contextPrimitive(0))) draft.authorityKeyId = hex(sequence.content(contextPrimitive(0), what));
  // authorityCertIssuer and authorityCertSerialNumber add nothing that name and signature do not show.
  while (!sequence.done) sequence.skip(what);
}

function readPolicyConstraints(value: DerReader, draft: Draft): void {
  const what = 'policyConstraints';
  const sequence = value.enter(tags.sequence, what);
  draft.requiresExplicitPolicy = sequence.at(contextPrimitive(0));
  while (!sequence.done) sequence.skip(what);
}

function readNameConstraints(value: DerReader, draft: Draft): void {
  const sequence = value.enter(tags.sequence, 'nameConstraints');
  const permitted = readSubtrees(sequence, contextConstructed(0));
  const excluded = readSubtrees(sequence, contextConstructed(1));
  sequence.finish('nameConstraints');
  draft.nameConstraints = { permitted, excluded };
}

function readSubtrees(reader: DerReader, tag: number): readonly Subtree[] {
  if (!reader.at(tag)) return [];
  const list = reader.enter(tag, 'nameConstraints');
  const subtrees: Subtree[] = [];
  while (!list.done) {
    const subtree = list.enter(tags.sequence, 'nameConstraints');
    const base = readGeneralName(subtree, 'nameConstraints');
    subtrees.push({ base, hasDistance: readHasDistance(subtree) });
  }
  return subtrees;
}

function readHasDistance(subtree: DerReader): boolean {
  let hasDistance = false;
  if (subtree.at(contextPrimitive(0))) {
    // An explicit `minimum 0` is the default spelled out.
    hasDistance = subtree.content(contextPrimitive(0), 'nameConstraints').some((byte) => byte !== 0);
  }
  if (subtree.at(contextPrimitive(1))) {
    subtree.content(contextPrimitive(1), 'nameConstraints');
    hasDistance = true;
  }
  subtree.finish('nameConstraints');
  return hasDistance;
}

function readGeneralNames(value: DerReader, what: string): readonly GeneralName[] {
  const sequence = value.enter(tags.sequence, what);
  const names: GeneralName[] = [];
  while (!sequence.done) names.push(readGeneralName(sequence, what));
  return names;
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase();
}
