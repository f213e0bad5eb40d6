import { describe, expect, test } from 'vitest';

import { selectCertificate, selectRegistrationId } from '../../../src/blocks/keys.ts';
import { instant } from '../../../src/kernel/clock.ts';
import { decideAdmission } from '../../../src/provisioning/admission.ts';
import { parseStorageKey } from '../../../src/tpm/public-area.ts';
import { blockOf } from '../../fixtures/block-samples.ts';
import {
  clientCertificates,
  disabled,
  group,
  individual,
  question,
  signedWith,
  signingCertificates,
  type Situation,
} from '../../fixtures/enrollment-rows.ts';
import { ecKey, make, noon } from '../../fixtures/pki/make-certificate.ts';
import { endorsementKeyFields, renderStorageKey, storageRootKeyFields } from '../../fixtures/storage-key.ts';

// Blocks beside every kind of entry: a block decides before all of them, after what proves the credential to be one.

const top = make({ subject: 'Root', key: ecKey(), ca: true });
const leafKey = ecKey();
const leaf = make({ subject: 'dev-1', key: leafKey, issuer: top });
const stranger = make({ subject: 'dev-1', key: ecKey() });
const byId = blockOf('by-id', [selectRegistrationId('DEV-1')]);
const byKey = blockOf('by-key', [selectCertificate('publicKey', leaf.certificate)]);
const keyOf = (n: number): string => Buffer.alloc(64, n).toString('base64');
const plant = group('plant', signingCertificates(top));
const own = individual('dev-1', clientCertificates(leaf));
const off = <T extends object>(entry: T): T & typeof disabled => ({ ...entry, ...disabled });

/** `disabled by-id proven`, `admit plant`, `refuse Unauthorized`. */
function decide(situation: Situation): string {
  const verdict = decideAdmission(question({ leaf, ...situation }));
  if (verdict.kind === 'refuse') return `refuse ${verdict.message}`;
  if (verdict.kind === 'admit' || verdict.kind === 'challenge') return `${verdict.kind} ${verdict.entry.id}`;
  return `disabled ${verdict.block?.id ?? verdict.entry?.id} ${verdict.authenticated ? 'proven' : 'claimed'}`;
}

describe('a block beside', () => {
  const entries: Readonly<Record<string, Situation>> = {
    nothing: {},
    'an enabled group': { groups: [plant] },
    'a disabled group': { groups: [off(plant)] },
    'an enabled individual enrollment': { individuals: [own] },
    'a disabled individual enrollment': { individuals: [off(own)] },
    'an enabled and a disabled one': { individuals: [own, off(individual('deny', clientCertificates(leaf)))] },
  };
  test.each(Object.entries(entries))('%s: it decides', (_name, situation) => {
    const known = Object.keys(situation).length > 0;
    expect(decide({ ...situation, blocks: [byKey] })).toBe(`disabled by-key ${known ? 'proven' : 'claimed'}`);
    expect(decide({ ...situation, blocks: [byId, byKey] })).toMatch(/^disabled by-id/u);
    expect(decide({ ...situation, blocks: [blockOf('over', byKey.selectors, { expiresAt: instant(noon) })] })).toBe(decide(situation));
  });
});

test.each([
  ['nothing presented', 'refuse Unauthorized', { presented: { kind: 'none' } }],
  ['an unreadable certificate', 'refuse Invalid certificate', { presented: { kind: 'unreadable', what: 'certificate', detail: 'no' } }],
  ['another common name', 'refuse Invalid certificate: its common name is not the registration ID.', { registrationId: 'dev-2' }],
] as const)('after the credential checks: %s', (_name, expected, situation) => {
  expect(decide({ ...situation, blocks: [byId, byKey] })).toBe(expected);
});

test('whoever only claims the id has proven nothing', () => {
  expect(decide({ leaf: stranger, blocks: [byId] })).toBe('disabled by-id claimed');
  expect(decide({ leaf: stranger, groups: [plant], blocks: [byId] })).toBe('disabled by-id claimed');
  expect(decide({ groups: [plant], blocks: [byId] })).toBe('disabled by-id proven');
  expect(decide({ presented: signedWith(keyOf(9)), blocks: [byId] })).toBe('disabled by-id claimed');
});

test('whoever holds a blocked key has not proven to be whom his own certificate names', () => {
  const selfMade = make({ subject: 'dev-2', key: leafKey });
  expect(decide({ leaf: selfMade, registrationId: 'dev-2', groups: [plant], blocks: [byKey] })).toBe('disabled by-key claimed');
});

test('a device with a key is known by it, and is shut out all the same', () => {
  const keyed = individual('dev-1', { type: 'symmetricKey', primaryKey: keyOf(1), secondaryKey: keyOf(2) });
  expect(decide({ presented: signedWith(keyOf(1)), individuals: [keyed], blocks: [byId] })).toBe('disabled by-id proven');
  expect(decide({ presented: signedWith(keyOf(9)), individuals: [keyed], blocks: [byId] })).toBe('disabled by-id claimed');
});

test('a TPM is challenged before it is told, because clients take nothing else for the first answer', () => {
  const endorsementKey = renderStorageKey(endorsementKeyFields());
  const storageRootKey = renderStorageKey(storageRootKeyFields());
  const base64 = Buffer.from(endorsementKey).toString('base64');
  const enrolled = individual('dev-1', { type: 'tpm', endorsementKey: base64 });
  const tpm = { endorsementKey: parseStorageKey(endorsementKey), storageRootKey: parseStorageKey(storageRootKey) };
  expect(decide({ presented: { kind: 'tpm', tpm }, individuals: [enrolled], blocks: [byId] })).toBe('challenge dev-1');
  expect(decide({ presented: { kind: 'tpm', tpm }, blocks: [byId] })).toBe('disabled by-id claimed');
});

test('an open readmission lets the entries decide, and is told to be used up', () => {
  const open = blockOf('open', byId.selectors, { readmission: { until: instant(noon + 1) } });
  const verdict = decideAdmission(question({ leaf, groups: [plant], blocks: [open] }));
  expect(verdict).toMatchObject({ kind: 'admit', entry: { id: 'plant' }, readmitting: [open] });
  expect(verdict.trace.find(({ subject }) => subject === 'block')).toMatchObject({
    outcome: 'lost',
    reason: 'readmits',
    block: { id: 'open' },
  });
  expect(decide({ groups: [off(plant)], blocks: [open] })).toMatch(/^disabled plant/u);
});

test('every block is in the trace, and the one that decided is marked', () => {
  const { trace } = decideAdmission(question({ leaf, groups: [plant], blocks: [byKey, byId] }));
  expect(trace.filter(({ subject }) => subject === 'block').map(({ block, outcome, reason }) => [block?.id, outcome, reason])).toEqual([
    ['by-id', 'decided', 'covers'],
    ['by-key', 'lost', 'later'],
  ]);
});
