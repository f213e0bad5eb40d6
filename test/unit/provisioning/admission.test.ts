import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { decideAdmission } from '../../../src/provisioning/admission.ts';
import {
  ca,
  caReferences,
  clientCertificates,
  disabled,
  group,
  individual,
  question,
  signingCertificates,
  type Situation,
  signedWith,
  symmetricKey,
} from '../../fixtures/enrollment-rows.ts';
import { ecKey, make, noon } from '../../fixtures/pki/make-certificate.ts';
import { int, int2, leaf, otherKey, root, type Spec } from '../../fixtures/pki/path-case.ts';

const strangersKey = Buffer.alloc(32, 7).toString('base64');
const year = 366 * 86_400_000;
const top = root();
const middle = int(top);
const lower = int2(middle);
const foreign = make({ subject: 'Foreign', key: otherKey, ca: true });
const device = (issuer = lower, spec: Spec = {}) => leaf(issuer, { subject: 'dev-1', ...spec });
const leaf1 = device();
const selfSigned = leaf(undefined, { subject: 'dev-1' });
const expired = device(lower, { notBefore: noon - year, notAfter: noon - 1000 });
const otherLeaf = device(lower, { key: ecKey() });
const rootGroup = group('root-group', signingCertificates(top));
const middleGroup = group('middle-group', signingCertificates(middle));
const lowerGroup = group('lower-group', signingCertificates(lower));
const chain = [lower, middle];

const off = <T extends object>(entry: T): T & typeof disabled => ({ ...entry, ...disabled });

/** `admit x`, `disabled x` or `refuse message`. */
function verdict(situation: Situation): string {
  const decided = decideAdmission(question(situation));
  return decided.kind === 'refuse' ? `refuse ${decided.message}` : `${decided.kind} ${decided.entry?.id}`;
}

function table(cases: Readonly<Record<string, readonly [expected: string, situation: Situation]>>): void {
  for (const [name, [expected, situation]] of Object.entries(cases)) test(name, () => expect(verdict(situation)).toBe(expected));
}

describe('what is presented', () => {
  table({
    'nothing at all is refused': ['refuse Unauthorized', { groups: [rootGroup] }],
    'nothing at all is refused before a disabled entry is looked at': [
      'refuse Unauthorized',
      { individuals: [off(individual('dev-1', symmetricKey))] },
    ],
    'bytes that are no certificate are refused': [
      'refuse Invalid certificate',
      { presented: { kind: 'unreadable', what: 'certificate', detail: 'This is not a certificate.' } },
    ],
    'a common name that differs is refused': [
      'refuse Invalid certificate: its common name is not the registration ID.',
      { leaf: leaf1, sent: chain, registrationId: 'dev-2', groups: [rootGroup] },
    ],
    'a common name that differs is refused before a deny, so that nobody acts under the id of another': [
      'refuse Invalid certificate: its common name is not the registration ID.',
      { leaf: leaf1, registrationId: 'dev-2', individuals: [off(individual('deny', clientCertificates(leaf1)))] },
    ],
    'a certificate without a common name is refused': [
      'refuse Invalid certificate: its common name is not the registration ID.',
      { leaf: device(lower, { subject: [['O', 'dev-1']] }), sent: chain, groups: [rootGroup] },
    ],
    'a common name with a letter that only Unicode takes for the same is refused': [
      'refuse Invalid certificate: its common name is not the registration ID.',
      { leaf: device(lower, { subject: '\u212Ailn-1' }), sent: chain, registrationId: 'kiln-1', groups: [rootGroup] },
    ],
    'the common name is compared without case': [
      'admit root-group',
      { leaf: leaf1, sent: chain, registrationId: 'DEV-1', groups: [rootGroup] },
    ],
  });
});

describe('individual enrollments', () => {
  const own = individual('dev-1', clientCertificates(leaf1));
  const anyId = individual('anything', clientCertificates(leaf1));
  const deny = off(individual('disallow-002', clientCertificates(leaf1)));
  table({
    'found by the leaf whatever its id': ['admit anything', { leaf: leaf1, individuals: [anyId] }],
    'found by the secondary certificate': [
      'admit dev-1',
      { leaf: leaf1, individuals: [individual('dev-1', clientCertificates(otherLeaf, leaf1))] },
    ],
    'a self-signed leaf needs no path': [
      'admit dev-1',
      { leaf: selfSigned, individuals: [individual('dev-1', clientCertificates(selfSigned))] },
    ],
    'decides before any group': ['admit dev-1', { leaf: leaf1, sent: chain, individuals: [own], groups: [off(rootGroup)] }],
    'disabled entry of another id wins over the group': [
      'disabled disallow-002',
      { leaf: leaf1, sent: chain, individuals: [deny], groups: [rootGroup] },
    ],
    'disabled entry of another id wins over the enabled one with the id': [
      'disabled disallow-002',
      { leaf: leaf1, individuals: [own, deny] },
    ],
    'a neighbour under the same issuer goes on': [
      'admit root-group',
      { leaf: leaf(lower, { subject: 'dev-2' }), sent: chain, registrationId: 'dev-2', individuals: [deny], groups: [rootGroup] },
    ],
    'disabled entry with the id wins over the enabled one that holds the leaf': [
      'disabled dev-1',
      { leaf: leaf1, individuals: [anyId, off(individual('dev-1', clientCertificates(otherLeaf)))] },
    ],
    'disabled symmetric-key entry with the id blocks a certificate': [
      'disabled dev-1',
      { leaf: leaf1, sent: chain, individuals: [off(individual('dev-1', symmetricKey))] },
    ],
    'disabled entry with the id blocks a token': [
      'disabled dev-1',
      { presented: signedWith(strangersKey), individuals: [off(individual('dev-1', symmetricKey))] },
    ],
    'the one that holds the leaf decides before the one with the id': [
      'admit anything',
      { leaf: leaf1, individuals: [individual('dev-1', symmetricKey), anyId] },
    ],
    'of two that hold the leaf, the one with the id decides': ['admit dev-1', { leaf: leaf1, individuals: [anyId, own] }],
    'another certificate than the one enrolled is refused, and groups are not consulted': [
      'refuse Unauthorized',
      { leaf: otherLeaf, sent: chain, individuals: [own], groups: [rootGroup] },
    ],
    'symmetric-key entry with the id refuses a certificate, and groups are not consulted': [
      'refuse Unauthorized',
      { leaf: leaf1, sent: chain, individuals: [individual('dev-1', symmetricKey)], groups: [rootGroup] },
    ],
    'a token for an X.509 entry is refused': ['refuse Unauthorized', { presented: signedWith(strangersKey), individuals: [own] }],
    'an expired leaf is refused although its thumbprint matches': [
      'refuse Invalid certificate',
      { leaf: expired, individuals: [individual('dev-1', clientCertificates(expired))] },
    ],
    'a leaf that is not yet valid is refused': ['refuse Invalid certificate', { leaf: leaf1, at: noon - year, individuals: [own] }],
    'a disabled entry is found by an expired leaf, too': [
      'disabled deny',
      { leaf: expired, individuals: [off(individual('deny', clientCertificates(expired)))] },
    ],
    'entries that neither hold the leaf nor have the id do not count': [
      'admit root-group',
      { leaf: leaf1, sent: chain, individuals: [individual('x', symmetricKey)], groups: [rootGroup] },
    ],
    'ids compare without case': ['admit DEV-1', { leaf: leaf1, individuals: [individual('DEV-1', clientCertificates(leaf1))] }],
  });
});

describe('individual enrollments by CA reference', () => {
  const byReference = individual('dev-1', caReferences('the-root'));
  table({
    'a leaf below the verified CA is let in': [
      'admit dev-1',
      { leaf: leaf1, sent: chain, individuals: [byReference], cas: [ca('The-Root', top)] },
    ],
    'a CA that is not verified does not let in': [
      'refuse CA certificate not found',
      { leaf: leaf1, sent: chain, individuals: [byReference], cas: [ca('the-root', top, false)] },
    ],
    'a CA that is gone does not let in': ['refuse CA certificate not found', { leaf: leaf1, sent: chain, individuals: [byReference] }],
    'a leaf of another CA is refused': [
      'refuse CA certificate not found',
      { leaf: selfSigned, individuals: [byReference], cas: [ca('the-root', top)] },
    ],
  });
});

describe('whether a peer that meets a disabled entry was the device itself', () => {
  const authenticated = (situation: Situation): boolean => {
    const decided = decideAdmission(question(situation));
    if (decided.kind !== 'disabled') throw new Error(`decided ${decided.kind}`);
    return decided.authenticated;
  };
  const blocked = [off(individual('dev-1', symmetricKey))];
  test('yes with the leaf that the entry holds', () =>
    expect(authenticated({ leaf: expired, individuals: [off(individual('deny', clientCertificates(expired)))] })).toBe(true));
  test('yes with a certificate of a trusted CA', () =>
    expect(authenticated({ leaf: leaf1, sent: chain, individuals: blocked, cas: [ca('r', top)] })).toBe(true));
  test('yes under a disabled group', () => expect(authenticated({ leaf: leaf1, sent: chain, groups: [off(rootGroup)] })).toBe(true));
  test('no with a self-made certificate of the same name', () =>
    expect(authenticated({ leaf: selfSigned, individuals: blocked, cas: [ca('r', top)] })).toBe(false));
  test('no with a token that another key signed', () =>
    expect(authenticated({ presented: signedWith(strangersKey), individuals: blocked })).toBe(false));
});

describe('the trace', () => {
  test('tells every individual entry, in order, and why it lost', () => {
    const own = individual('dev-1', clientCertificates(leaf1));
    const { trace } = decideAdmission(question({ leaf: leaf1, individuals: [own, off(individual('deny', clientCertificates(leaf1)))] }));
    expect(trace.map(({ subject, outcome, reason, entry }) => [subject, outcome, reason, entry?.id])).toEqual([
      ['credential', 'passed', 'x509', undefined],
      ['common-name', 'passed', 'equal', undefined],
      ['individual', 'lost', 'deny-wins', 'dev-1'],
      ['individual', 'decided', 'disabled', 'deny'],
    ]);
  });

  test('tells the path and every group', () => {
    const strangers = group('strangers', signingCertificates(foreign));
    const { trace } = decideAdmission(question({ leaf: leaf1, sent: chain, groups: [rootGroup, strangers, off(middleGroup)] }));
    expect(trace.slice(2).map(({ subject, outcome, reason, entry }) => [subject, outcome, reason, entry?.id])).toEqual([
      ['path', 'passed', 'trusted', undefined],
      ['group', 'lost', 'not-an-issuer', 'strangers'],
      ['group', 'decided', 'disabled', 'middle-group'],
    ]);
    expect(trace[2]?.path?.map(({ sha256 }) => sha256)).toEqual([leaf1, lower, middle].map(({ certificate }) => certificate.sha256));
  });
});

test('a disabled individual entry that holds the leaf always shuts the device out', () => {
  const individuals = [
    individual('dev-1', clientCertificates(leaf1)),
    individual('dev-1', clientCertificates(otherLeaf)),
    individual('dev-1', symmetricKey),
    individual('aaa', clientCertificates(leaf1)),
    off(individual('zzz', clientCertificates(leaf1, otherLeaf))),
  ];
  const groups = [rootGroup, middleGroup, lowerGroup, off(rootGroup), off(lowerGroup)];
  const situations = fc.record({
    individuals: fc.subarray(individuals),
    groups: fc.subarray(groups),
    sent: fc.subarray([lower, middle, top, foreign]),
    cas: fc.subarray([ca('root', top), ca('middle', middle, false), ca('foreign', foreign)]),
    requireVerifiedCa: fc.boolean(),
    at: fc.constantFrom(noon, noon - year, noon + year),
    deny: fc.constantFrom('deny', 'dev-1', 'a', '~'),
    front: fc.boolean(),
  });
  fc.assert(
    fc.property(situations, ({ deny, front, ...situation }) => {
      const entry = off(individual(deny, clientCertificates(leaf1)));
      const all = front ? [entry, ...situation.individuals] : [...situation.individuals, entry];
      expect(decideAdmission(question({ ...situation, leaf: leaf1, individuals: all })).kind).toBe('disabled');
    }),
  );
});
