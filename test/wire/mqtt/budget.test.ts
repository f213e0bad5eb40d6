import { expect, test } from 'vitest';
import { createByteBudget } from '../../../src/kernel/byte-budget.ts';
import { testLimits, startEngine } from './test-binding.ts';
import { open, settle } from './test-client.ts';

const connect = { clientId: 'c', username: 'test' };

test('refused/new clients and new messages while all of them together hold too much; then served again', async () => {
  const budget = createByteBudget(20_000);
  const { door, binding } = startEngine({}, { outboundBytes: 100_000, subscriptions: 10 }, budget);
  const slow = open(door, { reads: false });
  slow.connect(connect);
  slow.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'news', qos: 0 }] });
  await settle();
  const other = open(door);
  other.connect({ ...connect, clientId: 'other' });
  expect(await other.next()).toMatchObject({ cmd: 'connack', returnCode: 0 });
  for (let at = 0; at < 40; at += 1) binding.links[0]?.deliver({ topic: 'news', payload: Buffer.alloc(2000) });
  await settle();
  expect(budget.isSpent).toBe(true);
  const late = open(door);
  late.connect({ ...connect, clientId: 'late' });
  // 3: the server is unavailable, which every SDK repeats.
  expect(await late.next()).toMatchObject({ cmd: 'connack', returnCode: 3 });
  // What needs no memory goes on.
  other.send({ cmd: 'pingreq' });
  expect(await other.next()).toMatchObject({ cmd: 'pingresp' });
  other.publish('t', 'x', 7);
  await other.closed;
  expect(binding.messages).toEqual([]);
  slow.stream.destroy();
  await slow.closed;
  await settle();
  expect(budget.used).toBe(0);
  const again = open(door);
  again.connect({ ...connect, clientId: 'again' });
  expect(await again.next()).toMatchObject({ cmd: 'connack', returnCode: 0 });
  again.publish('t', 'y', 8);
  expect(await again.next()).toMatchObject({ cmd: 'puback', messageId: 8 });
  await door.close();
  expect(testLimits.connections).toBeGreaterThan(3);
});
