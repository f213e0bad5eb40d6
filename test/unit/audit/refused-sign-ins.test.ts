import { beforeEach, expect, test } from 'vitest';
import type { Cause } from '../../../src/audit/actor.ts';
import type { Change } from '../../../src/audit/change.ts';
import { createRefusedSignIns, type RefusedSignIns } from '../../../src/audit/refused-sign-ins.ts';
import { minutes } from '../../../src/kernel/clock.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

let clock: FakeClock;
let told: { readonly change: Change; readonly cause: Cause | undefined }[];
let refused: RefusedSignIns;

beforeEach(() => {
  clock = new FakeClock();
  told = [];
  const storage = {
    write: <T>(work: (transaction: { readonly changes: { record(change: Change): void } }) => Promise<T>, cause?: Cause): Promise<T> =>
      work({ changes: { record: (change) => void told.push({ change, cause }) } }),
  };
  refused = createRefusedSignIns({ storage, clock });
});

const note = (address: string, reason = 'signature'): Promise<void> =>
  refused.note({ at: { id: 'hub-service', scope: 'hub' }, transport: 'amqp', address, reason });

test('says who, where and why', async () => {
  await note('192.0.2.7');
  const change = {
    action: 'sign-in.refused',
    resource: { kind: 'sign-in', id: 'hub-service', scope: 'hub' },
    after: { reason: 'signature' },
  };
  const by = { kind: 'stranger', name: '192.0.2.7', origin: { transport: 'amqp', address: '192.0.2.7' } };
  expect(told).toEqual([{ change, cause: { by } }]);
});

test('says it once for each network in a window', async () => {
  for (let at = 1; at <= 5; at += 1) await note(`2001:db8:1:2::${at}`);
  await note('2001:db8:1:3::1');
  expect(told).toHaveLength(2);
  clock.advance(minutes(15));
  await note('2001:db8:1:2::1');
  expect(told).toHaveLength(3);
});

test('a flood of addresses is bounded', async () => {
  for (let at = 0; at < 20_000; at += 1) await note(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
  expect(told).toHaveLength(100);
  clock.advance(minutes(15));
  await note('10.0.0.1');
  expect(told).toHaveLength(101);
});
