import { describe, expect, test } from 'vitest';

import type { TelemetryRow } from '../../src/hub/ports.ts';
import { instant } from '../../src/kernel/clock.ts';
import type { SqlStore } from '../../src/stores/sql/store.ts';
import type { OpenStore } from './open-sqlite.ts';
import { hubName, openSeeded, telemetry } from './samples.ts';

const append = (store: SqlStore, ...rows: readonly TelemetryRow[]): Promise<number> => store.write((tx) => tx.telemetry.append(rows));

async function bodies(store: SqlStore, query: { after?: number; limit?: number; deviceId?: string } = {}): Promise<readonly string[]> {
  const rows = await store.read.telemetry.read(hubName, { after: 0, limit: 1000, ...query });
  return rows.map((row) => `${row.sequenceNumber}:${Buffer.from(row.body).toString()}`);
}

/** What every implementation of `TelemetryStore` owes. */
export function describeTelemetryStore(open: OpenStore): void {
  describe('TelemetryStore', () => {
    test('gives back what was stored, byte for byte', async () => {
      const { store } = await openSeeded(open);
      const binary = telemetry('one', '', {
        body: Uint8Array.from({ length: 256 }, (_, index) => index),
        enqueuedAt: instant(1_800_000_000_123),
        source: 'twinChangeEvents',
        systemProperties: { 'message-id': 'm', 'content-type': 'application/json' },
        applicationProperties: { alert: 'ü', ['__proto__']: 'x' },
      });
      const empty = telemetry('one', '');
      await append(store, binary, empty);
      const [first, second] = await store.read.telemetry.read('HUB-LOCAL', { after: 0, limit: 10 });
      expect(first).toEqual({ ...binary, body: Buffer.from(binary.body), sequenceNumber: 1 });
      expect(second).toEqual({ ...empty, sequenceNumber: 2 });
    });

    test('numbers grow by one per message of a hub, and the first one is returned', async () => {
      const { store } = await openSeeded(open);
      expect(await store.read.telemetry.lastSequenceNumber(hubName)).toBe(0);
      expect(await append(store, telemetry('one', 'a'))).toBe(1);
      expect(await append(store, telemetry('one', 'b'), telemetry('two', 'c'))).toBe(2);
      expect(await append(store, telemetry('one', 'd', { hub: 'HUB-LOCAL' }))).toBe(4);
      expect(await append(store)).toBe(0);
      expect(await store.read.telemetry.lastSequenceNumber('hub-local')).toBe(4);
      expect(await bodies(store)).toEqual(['1:a', '2:b', '3:c', '4:d']);
    });

    test('each hub counts for itself, also within one append', async () => {
      const { store } = await openSeeded(open);
      const first = await append(
        store,
        telemetry('one', 'a', { hub: 'other' }),
        telemetry('one', 'b'),
        telemetry('one', 'c', { hub: 'other' }),
      );
      expect(first).toBe(1);
      expect(await store.read.telemetry.lastSequenceNumber('other')).toBe(2);
      expect(await bodies(store)).toEqual(['1:b']);
      const other = await store.read.telemetry.read('other', { after: 0, limit: 10 });
      expect(other.map((row) => Buffer.from(row.body).toString())).toEqual(['a', 'c']);
    });

    test('reads on from a number, in order, as many as asked, of one device when asked', async () => {
      const { store } = await openSeeded(open);
      await append(store, ...['a', 'b', 'c', 'd', 'e'].map((body, index) => telemetry(index % 2 === 0 ? 'even' : 'odd', body)));
      expect(await bodies(store, { after: 2, limit: 2 })).toEqual(['3:c', '4:d']);
      expect(await bodies(store, { deviceId: 'even', limit: 2 })).toEqual(['1:a', '3:c']);
      expect(await bodies(store, { deviceId: 'even', after: 3 })).toEqual(['5:e']);
      expect(await bodies(store, { deviceId: 'EVEN' })).toEqual([]);
      expect(await bodies(store, { after: 5 })).toEqual([]);
    });

    test('an append of more rows than one statement takes stays in order', async () => {
      const { store } = await openSeeded(open);
      const rows = Array.from({ length: 257 }, (_, index) => telemetry('one', `message ${index + 1}`));
      expect(await append(store, ...rows)).toBe(1);
      expect(await bodies(store)).toEqual(rows.map((_, index) => `${index + 1}:message ${index + 1}`));
    });

    test('forgets the oldest of a hub, as many as asked, up to the first that is young enough; numbers go on', async () => {
      const { store } = await openSeeded(open);
      const at = (enqueuedAt: number) => ({ enqueuedAt: instant(enqueuedAt) });
      await append(store, ...[1, 2, 3, 9, 4].map((time) => telemetry('one', `${time}`, at(time))));
      await append(store, telemetry('one', 'other', { hub: 'other', ...at(1) }));
      const forget = (before: number, atMost: number) =>
        store.write((tx) => tx.telemetry.forget('HUB-local', { before: instant(before), atMost }));
      expect(await forget(1, 10)).toBe(0);
      expect(await forget(4, 2)).toBe(2);
      expect(await bodies(store)).toEqual(['3:3', '4:9', '5:4']);
      // A clock that was set back: what came after a young one waits until that one is old.
      expect(await forget(5, 10)).toBe(1);
      expect(await bodies(store)).toEqual(['4:9', '5:4']);
      expect(await forget(10, 10)).toBe(2);
      expect(await forget(10, 10)).toBe(0);
      expect(await append(store, telemetry('one', 'next'))).toBe(6);
      expect(await store.read.telemetry.read('other', { after: 0, limit: 10 })).toHaveLength(1);
    });

    test('appends at the same time leave no gap and share no number; one that fails leaves no gap either', async () => {
      const { store } = await openSeeded(open);
      const failing = store.write(async (tx) => {
        await tx.telemetry.append([telemetry('one', 'never')]);
        throw new Error('changed its mind');
      });
      const firsts = Promise.all(Array.from({ length: 100 }, (_, index) => append(store, telemetry('one', `${index}`))));
      await expect(failing).rejects.toThrow('changed its mind');
      expect(await firsts).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
      expect(await bodies(store)).toEqual(Array.from({ length: 100 }, (_, index) => `${index + 1}:${index}`));
    });
  });
}
