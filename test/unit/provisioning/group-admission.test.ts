import { describe, expect, test } from 'vitest';

import { decideAdmission } from '../../../src/provisioning/admission.ts';
import {
  ca,
  caReferences,
  disabled,
  group,
  question,
  signingCertificates,
  type Situation,
  symmetricKey,
} from '../../fixtures/enrollment-rows.ts';
import { make, noon } from '../../fixtures/pki/make-certificate.ts';
import { int, int2, leaf, otherKey, root, rootKey } from '../../fixtures/pki/path-case.ts';

const day = 86_400_000;
const top = root();
const middle = int(top);
const lower = int2(middle);
const leaf1 = leaf(lower, { subject: 'dev-1' });
const chain = [lower, middle];
const impostor = make({ subject: 'Root', key: otherKey, ca: true });
const rootGroup = group('root-group', signingCertificates(top));
const middleGroup = group('middle-group', signingCertificates(middle));
const lowerGroup = group('lower-group', signingCertificates(lower));
const off = <T extends object>(entry: T): T & typeof disabled => ({ ...entry, ...disabled });

function verdict(situation: Situation): string {
  const decided = decideAdmission(question({ leaf: leaf1, ...situation }));
  return decided.kind === 'refuse' ? `refuse ${decided.message}` : `${decided.kind} ${decided.entry?.id}`;
}

function table(cases: Readonly<Record<string, readonly [expected: string, situation: Situation]>>): void {
  for (const [name, [expected, situation]] of Object.entries(cases)) test(name, () => expect(verdict(situation)).toBe(expected));
}

describe('enrollment groups', () => {
  table({
    'on the direct issuer, the leaf sent alone': ['admit lower-group', { groups: [lowerGroup] }],
    'on the root, the intermediates sent': ['admit root-group', { sent: chain, groups: [rootGroup] }],
    'on the root, sent in any order with strangers between': [
      'admit root-group',
      { sent: [impostor, middle, lower, leaf1], groups: [rootGroup] },
    ],
    'on the root, the leaf sent alone and the intermediates uploaded, not verified': [
      'admit root-group',
      { groups: [rootGroup], cas: [ca('middle', middle, false), ca('lower', lower, false)] },
    ],
    'on the root, an intermediate known from another group': [
      'admit root-group',
      { sent: [lower], groups: [rootGroup], signing: [middle] },
    ],
    'by the secondary certificate': ['admit both', { sent: chain, groups: [group('both', signingCertificates(impostor, top))] }],
    'nearest issuer first': ['admit lower-group', { sent: chain, groups: [rootGroup, middleGroup, lowerGroup] }],
    'a disabled group refuses its devices with a status': ['disabled root-group', { sent: chain, groups: [off(rootGroup)] }],
    'a deleted group refuses its devices': ['refuse CA certificate not found', { sent: chain }],
    'a deleted group refuses its devices though their CA is verified': ['refuse Unauthorized', { sent: chain, cas: [ca('root', top)] }],
    'a deleted intermediate group leaves the root group': ['admit root-group', { sent: chain, groups: [rootGroup] }],
    'a deleted intermediate group leaves another intermediate of the chain': [
      'admit middle-group',
      { sent: [lower], groups: [middleGroup] },
    ],
    'a disabled nearest match blocks although a higher one is enabled': [
      'disabled lower-group',
      { sent: chain, groups: [rootGroup, off(lowerGroup)] },
    ],
    'an enabled nearest match lets in although a higher one is disabled': [
      'admit lower-group',
      { sent: chain, groups: [off(rootGroup), lowerGroup] },
    ],
    'a disabled group in the middle decides before an enabled one above': [
      'disabled middle-group',
      { sent: chain, groups: [rootGroup, off(middleGroup)] },
    ],
    'at the same distance deny wins': ['disabled zzz', { sent: chain, groups: [rootGroup, off(group('zzz', signingCertificates(top)))] }],
    'at the same distance the id decides': ['admit aaa', { sent: chain, groups: [rootGroup, group('aaa', signingCertificates(top))] }],
    'a group on an issuer above a verified intermediate': [
      'admit root-group',
      { sent: chain, groups: [rootGroup], cas: [ca('lower', lower)] },
    ],
    'symmetric-key groups never match a certificate': [
      'refuse Unauthorized',
      { sent: chain, cas: [ca('r', top)], groups: [group('keys', symmetricKey)] },
    ],
  });
});

describe('enrollment groups by CA reference', () => {
  const byReference = group('by-reference', caReferences('Root-CA'));
  table({
    'a verified CA lets in': ['admit by-reference', { sent: chain, groups: [byReference], cas: [ca('root-ca', top)] }],
    'a CA that is not verified does not': [
      'refuse CA certificate not found',
      { sent: chain, groups: [byReference], cas: [ca('root-ca', top, false)] },
    ],
    'a CA that is not verified does not, though the path is trusted through another group': [
      'admit middle-group',
      { sent: chain, groups: [group('lower-ref', caReferences('lower')), middleGroup], cas: [ca('lower', lower, false)] },
    ],
    'a reference to a CA that is gone does not': ['refuse CA certificate not found', { sent: chain, groups: [byReference] }],
    'a disabled group blocks though its CA is not verified': [
      'disabled deny',
      { sent: chain, groups: [rootGroup, off(group('deny', caReferences('middle')))], cas: [ca('middle', middle, false)] },
    ],
  });
});

describe('a path that is broken', () => {
  const expiredMiddle = int(top, { notBefore: noon - 2 * day, notAfter: noon - day });
  table({
    'an intermediate is missing': ['refuse CA certificate not found', { sent: [lower], groups: [rootGroup] }],
    'another CA of the same name': [
      'refuse CA certificate not found',
      { sent: chain, groups: [group('g', signingCertificates(impostor))] },
    ],
    'the leaf has expired': [
      'refuse Invalid certificate',
      { leaf: leaf(lower, { subject: 'dev-1', notBefore: noon - 2 * day, notAfter: noon - day }), sent: chain, groups: [rootGroup] },
    ],
    'an intermediate has expired': [
      'refuse Invalid certificate',
      { leaf: leaf(expiredMiddle, { subject: 'dev-1' }), sent: [expiredMiddle], groups: [rootGroup] },
    ],
    'the issuer is no CA': [
      'refuse Invalid certificate',
      { leaf: leaf(int(top, { ca: false }), { subject: 'dev-1' }), sent: [int(top, { ca: false })], groups: [rootGroup] },
    ],
    'signed by another key under the right name': [
      'refuse Invalid certificate',
      { leaf: leaf(lower, { subject: 'dev-1', signWith: otherKey }), sent: chain, groups: [rootGroup] },
    ],
    'a broken path is refused though a group on it is disabled': [
      'refuse CA certificate not found',
      { sent: [lower], groups: [off(rootGroup)] },
    ],
  });
});

describe('a CA that was re-issued under the same key', () => {
  const renewed = int(top, { notBefore: noon - day });
  const leafOfMiddle = leaf(middle, { subject: 'dev-1' });
  const old = int(top, { notBefore: noon - 3 * day, notAfter: noon - day });
  const denyOld = off(group('deny-old', signingCertificates(old)));
  table({
    'a group on the old certificate matches, the new one sent': [
      'admit middle-group',
      { leaf: leafOfMiddle, sent: [renewed], groups: [middleGroup] },
    ],
    'a deny on the old certificate is not evaded by sending the new one': [
      'disabled deny-old',
      { leaf: leafOfMiddle, sent: [renewed], groups: [rootGroup, denyOld] },
    ],
    'an expired certificate of a group does not let in, but the group above does': [
      'admit root-group',
      { leaf: leafOfMiddle, sent: [renewed], groups: [rootGroup, group('old', signingCertificates(old))] },
    ],
  });
});

describe('requireVerifiedCa', () => {
  const strict = { requireVerifiedCa: true } as const;
  const unverifiedTop = make({ subject: 'Root', key: rootKey, ca: true, issuerName: 'Above', signWith: otherKey });
  table({
    'an in-line certificate alone is no anchor': ['refuse CA certificate not found', { ...strict, sent: chain, groups: [lowerGroup] }],
    'an in-line certificate below a verified CA counts': [
      'admit lower-group',
      { ...strict, sent: chain, groups: [lowerGroup], cas: [ca('root', top)] },
    ],
    'an in-line certificate that is verified itself counts': [
      'admit root-group',
      { ...strict, sent: chain, groups: [rootGroup], cas: [ca('root', top)] },
    ],
    'an in-line certificate above the verified CA does not count': [
      'refuse Unauthorized',
      { ...strict, sent: chain, groups: [rootGroup], cas: [ca('lower', lower)] },
    ],
    'a deny above the verified CA blocks all the same': [
      'disabled root-group',
      { ...strict, sent: chain, groups: [off(rootGroup)], cas: [ca('lower', lower)] },
    ],
    'a CA that is not verified is no anchor': [
      'refuse CA certificate not found',
      { ...strict, sent: chain, groups: [lowerGroup], cas: [ca('root', top, false)] },
    ],
    'two verified CAs on the way: the group between them counts': [
      'admit middle-group',
      { ...strict, sent: chain, groups: [middleGroup], cas: [ca('lower', lower), ca('root', top)] },
    ],
    'a group whose root was signed by somebody unknown does not count': [
      'refuse CA certificate not found',
      { ...strict, sent: chain, groups: [group('g', signingCertificates(unverifiedTop))] },
    ],
  });

  test('the limits of the verified CA bind below an in-line one that is an anchor of its own', () => {
    const tight = root({ pathLength: 1 });
    const [above, below] = [int(tight), int2(int(tight))];
    const device = leaf(below, { subject: 'dev-1' });
    const situation = {
      ...strict,
      leaf: device,
      sent: [above, below],
      groups: [group('g', signingCertificates(above))],
      cas: [ca('root', tight)],
    };
    expect(verdict(situation)).toBe('refuse Invalid certificate');
  });
});
