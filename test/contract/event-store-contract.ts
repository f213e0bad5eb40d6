import { describe, expect, test } from 'vitest';

import type { TripwireRow } from '../../src/fleet/ports.ts';
import { instant } from '../../src/kernel/clock.ts';
import type { OpenStore } from './open-sqlite.ts';
import { openSeeded } from './samples.ts';

const event = (at: number, kind: 'tripwire' | 'readmission' = 'tripwire') => ({ at: instant(at), kind, data: { n: at, nested: ['ü'] } });

const tripwire = (device: string, lastAt: number, changes: Partial<TripwireRow> = {}): TripwireRow => ({
  device,
  deny: { kind: 'block', id: 'block-1' },
  firstAt: instant(1),
  lastAt: instant(lastAt),
  attempts: 3,
  proven: 2,
  doors: [{ side: 'provisioning', place: 'dps', transport: 'mqtt-ws', attempts: 3 }],
  addresses: ['192.0.2.1', '2001:db8::1'],
  trackingId: 'tracking',
  ...changes,
});

/** What is told, and what is counted. */
export function describeEventStores(open: OpenStore): void {
  describe('EventStore', () => {
    test('gives out numbers in order, and reads from both ends', async () => {
      const { store } = await openSeeded(open);
      const given: number[] = [];
      for (const one of [event(1), event(2, 'readmission'), event(3)]) given.push(await store.write((tx) => tx.events.append(one)));
      const [first = 0] = given;
      expect(given).toEqual([first, first + 1, first + 2]);
      const { events } = store.read;
      expect((await events.after(first, 9)).map(({ sequence }) => sequence)).toEqual([first + 1, first + 2]);
      expect(await events.after(0, 1)).toEqual([{ sequence: first, ...event(1) }]);
      expect((await events.newest({ limit: 2 })).map(({ at }) => at)).toEqual([3, 2]);
      expect((await events.newest({ limit: 9, before: first + 2, kind: 'tripwire' })).map(({ at }) => at)).toEqual([1]);
    });

    test('keeps how far it was delivered, which never goes back', async () => {
      const { store } = await openSeeded(open);
      expect(await store.read.events.delivered()).toBe(0);
      for (const one of [event(1), event(2)]) await store.write((tx) => tx.events.append(one));
      await store.write((tx) => tx.events.markDelivered(2));
      await store.write((tx) => tx.events.markDelivered(1));
      expect(await store.read.events.delivered()).toBe(2);
    });

    test('is pruned by age and number, and gives no number out again', async () => {
      const { store } = await openSeeded(open);
      for (const at of [1, 2, 3, 4]) await store.write((tx) => tx.events.append(event(at)));
      expect(await store.write((tx) => tx.events.prune({ before: instant(2), keep: 2 }))).toBe(2);
      expect((await store.read.events.after(0, 9)).map(({ at }) => at)).toEqual([3, 4]);
      expect(await store.write((tx) => tx.events.prune({ before: instant(9), keep: 9 }))).toBe(2);
      expect(await store.write((tx) => tx.events.append(event(5)))).toBe(5);
    });
  });

  describe('TripwireStore', () => {
    test('has one row for a device, whatever its case', async () => {
      const { store } = await openSeeded(open);
      await store.write((tx) => tx.tripwires.put(tripwire('Sensor-1', 5)));
      expect(await store.read.tripwires.get('sensor-1')).toEqual(tripwire('Sensor-1', 5));
      const later = tripwire('SENSOR-1', 7, { deny: { kind: 'individual', id: 'deny' }, attempts: 4, doors: [], addresses: [] });
      await store.write((tx) => tx.tripwires.put(later));
      expect(await store.read.tripwires.get('Sensor-1')).toEqual(later);
      expect((await store.read.tripwires.list({ limit: 9 })).items).toEqual([later]);
      expect(await store.read.tripwires.get('other')).toBeUndefined();
    });

    test('lists the latest first, page by page, also where several came at once', async () => {
      const { store } = await openSeeded(open);
      await store.write(async (tx) => {
        for (const [id, at] of [
          ['a/1', 5],
          ['b', 7],
          ['c', 5],
          ['d', 5],
          ['e', 9],
        ] as const)
          await tx.tripwires.put(tripwire(id, at));
      });
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await store.read.tripwires.list({ limit: 2, ...(after === undefined ? {} : { after }) });
        seen.push(...page.items.map(({ device }) => device));
        after = page.next;
      } while (after !== undefined);
      expect(seen).toEqual(['e', 'b', 'd', 'c', 'a/1']);
    });

    test('is pruned by age and number', async () => {
      const { store } = await openSeeded(open);
      await store.write(async (tx) => {
        for (const [id, at] of [
          ['a', 1],
          ['b', 5],
          ['c', 5],
          ['d', 6],
        ] as const)
          await tx.tripwires.put(tripwire(id, at));
      });
      expect(await store.write((tx) => tx.tripwires.prune({ before: instant(5), keep: 2 }))).toBe(2);
      expect((await store.read.tripwires.list({ limit: 9 })).items.map(({ device }) => device)).toEqual(['d', 'c']);
    });
  });
}
