import { describe, expect, test } from 'vitest';

import { selectDeviceId, selectRegistrationId } from '../../../src/blocks/keys.ts';
import { type BlockedPurpose, type BlockQuestion, judgeBlocks } from '../../../src/blocks/rule.ts';
import { instant } from '../../../src/kernel/clock.ts';
import { blockOf } from '../../fixtures/block-samples.ts';
import { noon } from '../../fixtures/pki/make-certificate.ts';

const byId = selectRegistrationId('sensor-1');
const ask = (blocks: BlockQuestion['blocks'], purpose: BlockedPurpose = 'register', at = noon) =>
  judgeBlocks({ blocks, keys: [byId.key], purpose, at: instant(at) });
const later = instant(noon + 1000);

test('a block covers whoever has one of its selectors', () => {
  expect(ask([blockOf('b', [selectDeviceId('other'), byId])]).blocked).toMatchObject({ block: { id: 'b' }, selector: byId });
  expect(ask([blockOf('b', [selectDeviceId('other')])]).findings).toEqual([]);
});

test('the oldest decides; the others are told, too', () => {
  const young = blockOf('a', [byId], { createdAt: instant(noon - 10) });
  const old = blockOf('z', [byId], { createdAt: instant(noon - 20) });
  const verdict = ask([young, old]);
  expect(verdict.blocked?.block.id).toBe('z');
  expect(verdict.findings.map(({ block }) => block.id)).toEqual(['z', 'a']);
});

test('a block ends at its moment, not a millisecond before', () => {
  const block = blockOf('b', [byId], { expiresAt: later });
  expect(ask([block], 'register', later - 1).blocked).toBeDefined();
  expect(ask([block], 'register', later)).toMatchObject({ findings: [{ outcome: 'expired' }], readmitting: [] });
});

describe('readmission', () => {
  const open = blockOf('b', [byId], { readmission: { until: later } });
  const used = blockOf('b', [byId], { readmission: { until: later, usedAt: instant(noon - 1) } });
  const gone = blockOf('b', [byId], { readmission: { until: instant(noon) } });

  test.each([
    ['open', open, 'register', 'readmits'],
    ['open', open, 'ask', 'readmits'],
    ['open', open, 'connect', 'covers'],
    ['used', used, 'register', 'covers'],
    ['used', used, 'ask', 'readmitted'],
    ['used', used, 'connect', 'readmitted'],
    ['gone', gone, 'register', 'covers'],
    ['gone', gone, 'ask', 'covers'],
    ['gone', gone, 'connect', 'covers'],
  ] as const)('%s, to %s: %s', (_name, block, purpose, outcome) => {
    const verdict = ask([block], purpose);
    expect(verdict.findings).toMatchObject([{ outcome }]);
    expect(verdict.blocked === undefined).toBe(outcome !== 'covers');
    expect(verdict.readmitting).toEqual(outcome === 'readmits' ? [block] : []);
  });

  test('used, it stays used after its moment', () => {
    expect(ask([used], 'connect', later + 1).blocked).toBeUndefined();
  });

  test('another block that covers the peer refuses all the same', () => {
    expect(ask([open, blockOf('c', [byId])]).blocked?.block.id).toBe('c');
  });
});
