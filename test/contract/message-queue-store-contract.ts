import { describe, expect, test } from 'vitest';

import type { FeedbackRecord } from '../../src/contracts/hub/message.ts';
import type { QueuedMessageRow, QueueId } from '../../src/hub/ports.ts';
import { instant } from '../../src/kernel/clock.ts';
import type { SqlStore } from '../../src/stores/sql/store.ts';
import type { OpenStore } from './open-sqlite.ts';
import { device, hubName, openSeeded } from './samples.ts';

const now = instant(1_700_000_000_000);
const later = instant(now + 60_000);
const queueOf = (deviceId: string): QueueId => ({ hub: hubName, name: `devicebound/${deviceId}`, deviceId });
const queue = queueOf('one');
const ownerless: QueueId = { hub: hubName, name: 'feedback' };

type NewMessage = Omit<QueuedMessageRow, 'sequenceNumber' | 'deliveryCount' | 'lock'>;

function message(body: string, changes: Partial<NewMessage> = {}): NewMessage {
  return {
    queue,
    generationId: '638000000000000001',
    message: { body: Buffer.from(body), systemProperties: { 'message-id': body }, applicationProperties: { colour: 'blue' } },
    enqueuedAt: now,
    expiresAt: later,
    ...changes,
  };
}

async function openWithDevices(open: OpenStore): Promise<SqlStore> {
  const { store } = await openSeeded(open);
  await store.write(async (tx) => {
    for (const deviceId of ['one', 'One', 'two']) await tx.devices.insert(device(deviceId));
  });
  return store;
}

const append = (store: SqlStore, ...messages: readonly NewMessage[]): Promise<readonly number[]> =>
  store.write(async (tx) => {
    const numbers: number[] = [];
    for (const each of messages) numbers.push(await tx.queues.append(each));
    return numbers;
  });

const bodiesOf = (rows: readonly QueuedMessageRow[]): readonly string[] =>
  rows.map(({ message: { body } }) => Buffer.from(body).toString());
const free = async (store: SqlStore, at = now, of = queue) => bodiesOf(await store.read.queues.free(of, { now: at, limit: 10 }));

async function lock(store: SqlStore, body: string, changes: { token?: string; receiver?: string } = {}): Promise<void> {
  const rows = await store.read.queues.list(queue, 10);
  const row = rows.find((candidate) => bodiesOf([candidate])[0] === body);
  if (row === undefined) throw new Error(`no message ${body}`);
  const { token = `token-${body}`, receiver } = changes;
  await store.write((tx) =>
    tx.queues.mark(row, { deliveryCount: 3, lock: { token, until: later, ...(receiver === undefined ? {} : { receiver }) } }),
  );
}

/** What every implementation of `MessageQueueStore` and `FeedbackStore` owes. */
export function describeMessageQueueStore(open: OpenStore): void {
  describe('MessageQueueStore', () => {
    test('gives back what was stored, byte for byte, found in any case of the hub name', async () => {
      const store = await openWithDevices(open);
      const binary = message('', {
        message: {
          body: Uint8Array.from({ length: 256 }, (_, index) => index),
          systemProperties: { 'message-id': 'm', 'iothub-ack': 'full' },
          applicationProperties: { alert: 'ü', ['__proto__']: 'x' },
        },
      });
      await append(store, binary);
      const [row] = await store.read.queues.list({ ...queue, hub: hubName.toUpperCase() }, 10);
      const body = Buffer.from(binary.message.body);
      expect(row).toEqual({ ...binary, message: { ...binary.message, body }, sequenceNumber: 1, deliveryCount: 0 });
    });

    test('keeps the order of arrival, per queue, and ids that differ in case apart', async () => {
      const store = await openWithDevices(open);
      expect(await append(store, message('a'), message('b'), message('x', { queue: queueOf('One') }), message('c'))).toEqual([1, 2, 1, 3]);
      expect(await free(store)).toEqual(['a', 'b', 'c']);
      expect(await free(store, now, queueOf('One'))).toEqual(['x']);
      expect(await store.read.queues.count(queue)).toBe(3);
      const names = [queue.name, queueOf('One').name, queueOf('two').name];
      expect(await store.read.queues.counts(hubName, names)).toEqual(
        new Map([
          [queue.name, 3],
          [queueOf('One').name, 1],
        ]),
      );
      expect(await store.read.queues.counts(hubName, [])).toEqual(new Map());
    });

    test('a number is not given again when the queue was emptied', async () => {
      const store = await openWithDevices(open);
      await append(store, message('a'));
      const [row] = await store.read.queues.list(queue, 1);
      await store.write((tx) => tx.queues.remove(row as QueuedMessageRow));
      expect(await append(store, message('b'))).toEqual([2]);
    });

    test('a locked message is free again when its lock ends, and is found by its token all the time', async () => {
      const store = await openWithDevices(open);
      await append(store, message('a'), message('b'));
      await lock(store, 'a', { receiver: 'r1' });
      expect(await free(store)).toEqual(['b']);
      expect(await store.read.queues.nextUnlock(queue, now)).toBe(later);
      expect(await free(store, later)).toEqual(['a', 'b']);
      expect(await store.read.queues.nextUnlock(queue, later)).toBeUndefined();
      expect(await store.read.queues.locked(queue, 'token-a')).toMatchObject({
        sequenceNumber: 1,
        deliveryCount: 3,
        lock: { token: 'token-a', until: later, receiver: 'r1' },
      });
      expect(await store.read.queues.locked(queueOf('two'), 'token-a')).toBeUndefined();
      expect(await store.read.queues.locked(queue, 'token-b')).toBeUndefined();
    });

    test('a mark without a lock takes the lock off', async () => {
      const store = await openWithDevices(open);
      await append(store, message('a'));
      await lock(store, 'a');
      const [row] = await store.read.queues.list(queue, 1);
      await store.write((tx) => tx.queues.mark(row as QueuedMessageRow, { deliveryCount: 4 }));
      const [after] = await store.read.queues.free(queue, { now, limit: 1 });
      expect(after).toMatchObject({ deliveryCount: 4 });
      expect(after?.lock).toBeUndefined();
    });

    test("releases one receiver's locks, or every receiver's, but not those of a token alone", async () => {
      const store = await openWithDevices(open);
      await append(store, message('a'), message('b'), message('c'));
      await lock(store, 'a', { receiver: 'r1' });
      await lock(store, 'b', { receiver: 'r2' });
      await lock(store, 'c');
      expect(await store.write((tx) => tx.queues.release(queue, 'r1'))).toBe(1);
      expect(await free(store)).toEqual(['a']);
      expect(await store.write((tx) => tx.queues.release(queue))).toBe(1);
      expect(await free(store)).toEqual(['a', 'b']);
      const [first] = await store.read.queues.free(queue, { now, limit: 1 });
      expect(first?.deliveryCount).toBe(3);
    });

    test('finds what has expired in every queue, but not what is locked', async () => {
      const store = await openWithDevices(open);
      await append(
        store,
        message('later', { expiresAt: instant(later + 1) }),
        message('due', { expiresAt: now }),
        message('locked', { expiresAt: now }),
        message('elsewhere', { queue: ownerless, expiresAt: now }),
      );
      await lock(store, 'locked');
      const found = bodiesOf(await store.read.queues.expired({ now, limit: 10 }));
      expect(found.toSorted()).toEqual(['due', 'elsewhere']);
      expect(await store.read.queues.expired({ now, limit: 1 })).toHaveLength(1);
    });

    test('a queue goes with its device, and a new incarnation starts empty', async () => {
      const store = await openWithDevices(open);
      await append(store, message('a'), message('b', { queue: queueOf('two') }), message('f', { queue: ownerless }));
      await store.write((tx) => tx.devices.delete(hubName, 'one', undefined));
      expect(await free(store)).toEqual([]);
      expect(await free(store, now, queueOf('two'))).toEqual(['b']);
      expect(await free(store, now, ownerless)).toEqual(['f']);
      await store.write((tx) => tx.devices.insert(device('one')));
      expect(await append(store, message('new'))).toEqual([1]);
    });
  });

  describe('SubscriptionStore', () => {
    test('keeps one set per device, replaces it, and forgets it with the device', async () => {
      const store = await openWithDevices(open);
      const get = (deviceId: string) => store.read.subscriptions.get(hubName.toUpperCase(), deviceId);
      const put = (deviceId: string, ...filters: [string, 0 | 1][]) =>
        store.write((tx) => tx.subscriptions.put(hubName, deviceId, new Map(filters)));
      expect(await get('one')).toBeUndefined();
      await put('one', ['a/#', 1]);
      await put('One', ['b', 0]);
      await put('one', ['c/+', 0], ['a/#', 1]);
      expect(await get('one')).toEqual(
        new Map([
          ['c/+', 0],
          ['a/#', 1],
        ]),
      );
      expect(await get('One')).toEqual(new Map([['b', 0]]));
      await store.write((tx) => tx.subscriptions.delete(hubName, 'One'));
      expect(await get('One')).toBeUndefined();
      await store.write((tx) => tx.devices.delete(hubName, 'one', undefined));
      await store.write((tx) => tx.devices.insert(device('one')));
      expect(await get('one')).toBeUndefined();
    });
  });

  describe('FeedbackStore', () => {
    const record = (id: string): FeedbackRecord => ({
      originalMessageId: id,
      deviceGenerationId: '1',
      deviceId: 'one',
      enqueuedTimeUtc: '2026-01-01T00:00:00Z',
      statusCode: 'Success',
      description: 'Success',
    });
    const add = (store: SqlStore, id: string, recordedAt = now, hub = hubName): Promise<void> =>
      store.write((tx) => tx.feedback.append(hub, { recordedAt, record: record(id) }));
    const ids = async (store: SqlStore): Promise<readonly string[]> =>
      (await store.read.feedback.oldest(hubName, 10)).map((row) => row.record.originalMessageId);

    test('keeps records in order and removes those up to a number', async () => {
      const store = await openWithDevices(open);
      for (const id of ['a', 'b', 'c']) await add(store, id, now, hubName.toLowerCase());
      expect(await store.read.feedback.oldest(hubName, 1)).toEqual([{ recordNumber: 1, recordedAt: now, record: record('a') }]);
      await store.write((tx) => tx.feedback.removeThrough(hubName, 2));
      expect(await ids(store)).toEqual(['c']);
    });

    test('forgets what is older than told', async () => {
      const store = await openWithDevices(open);
      await add(store, 'old', now);
      await add(store, 'new', later);
      expect(await store.write((tx) => tx.feedback.forget(later))).toBe(1);
      expect(await ids(store)).toEqual(['new']);
    });
  });
}
