import { describe, expect, test } from 'vitest';

import type { Cause } from '../../src/audit/actor.ts';
import { createAuditTrail } from '../../src/audit/trail.ts';
import { seconds } from '../../src/kernel/clock.ts';
import type { OpenedStore, OpenStore } from './open-sqlite.ts';
import { device, hubName, individual, openSeeded, twin } from './samples.ts';

const ada: Cause = {
  by: { kind: 'operator', name: 'Ada', origin: { transport: 'https', address: '192.0.2.7', userAgent: 'az/2.70' } },
  reason: 'lost on the way',
  ticket: 'OPS-7',
};
const policy: Cause = { by: { kind: 'policy', name: 'iothubowner' } };

/** Six changes after the five of the seed, of two people, a second apart. */
async function openChanged(open: OpenStore): Promise<OpenedStore> {
  const opened = await openSeeded(open);
  const { store, clock } = opened;
  await store.write((tx) => tx.enrollments.insert(individual('Sensor-One')), ada);
  clock.advance(seconds(1));
  await store.write((tx) => tx.devices.insert(device('sensor-two')), policy);
  clock.advance(seconds(1));
  await store.write(async (tx) => {
    await tx.devices.insert(device('sensor-one'));
    await tx.twins.insert(twin('sensor-one'));
  }, ada);
  return opened;
}

/** What every implementation of `AuditStore` owes. */
export function describeAuditStore(open: OpenStore): void {
  describe('AuditStore', () => {
    test('an entry says who, when, from where, what and why', async () => {
      const { store, clock } = await openSeeded(open);
      await store.write((tx) => tx.enrollments.insert(individual('Sensor-One')), ada);
      await store.write(
        (tx) => tx.enrollments.replace(individual('Sensor-One', { provisioningStatus: 'disabled', etag: 'two' }), undefined),
        ada,
      );
      const [entry] = (await store.read.audit.list({ order: 'newest-first', limit: 1 })).items;
      expect(entry).toMatchObject({
        at: new Date(clock.now()).toISOString(),
        actor: { kind: 'operator', name: 'Ada', origin: { transport: 'https', address: '192.0.2.7', userAgent: 'az/2.70' } },
        action: 'enrollment.update',
        resource: { kind: 'enrollment', id: 'Sensor-One', scope: 'Dps-Local' },
        reason: 'lost on the way',
        ticket: 'OPS-7',
      });
      expect(entry?.before).toEqual({ provisioningStatus: 'enabled', etag: 'etag-of-Sensor-One' });
      expect(entry?.after).toEqual({ provisioningStatus: 'disabled', etag: 'two' });
    });

    test('a write without a cause is the service itself', async () => {
      const { store } = await openSeeded(open);
      const [entry] = (await store.read.audit.list({ order: 'oldest-first', limit: 1 })).items;
      expect(entry).toMatchObject({ sequence: 1, previousHash: '0'.repeat(64), actor: { kind: 'system' }, action: 'dps.create' });
    });

    test('what is undone leaves no entry, whatever its neighbours of the group do', async () => {
      const { store } = await openSeeded(open);
      const before = await store.read.audit.head();
      const failed = store.write(async (tx) => {
        await tx.devices.insert(device('sensor-one'));
        throw new Error('no');
      });
      const done = store.write((tx) => tx.devices.insert(device('sensor-two')));
      await expect(failed).rejects.toThrow('no');
      await done;
      const { items } = await store.read.audit.list({ order: 'oldest-first', limit: 10, after: String(before.sequence) });
      expect(items.map(({ resource }) => resource.id)).toEqual(['sensor-two']);
      expect(await createAuditTrail({ storage: store }).verify()).toMatchObject({ ok: true });
    });

    test('what a device reports is no change, and neither is a write of the same again', async () => {
      const { store } = await openChanged(open);
      const before = await store.read.audit.head();
      const current = await store.read.twins.get(hubName, 'sensor-one');
      if (current === undefined) throw new Error('no twin');
      const reported = { ...current.reported, properties: { temperature: 21 } };
      await store.write((tx) => tx.twins.replace({ ...current, reported, version: current.version + 1 }, current.version));
      expect(await store.read.audit.head()).toEqual(before);
    });

    test.each([
      [{ actor: 'ADA' }, ['sensor-one', 'sensor-one', 'Sensor-One']],
      [{ resource: 'SENSOR-ONE' }, ['sensor-one', 'sensor-one', 'Sensor-One']],
      [{ resourceKind: 'twin' }, ['sensor-one']],
      [{ action: 'device.create' }, ['sensor-one', 'sensor-two']],
      [{ scope: 'hub-local', actor: 'ada' }, ['sensor-one', 'sensor-one']],
    ])('is filtered by %j', async (filter, ids) => {
      const { store } = await openChanged(open);
      const { items } = await store.read.audit.list({ order: 'newest-first', limit: 10, filter });
      expect(items.map(({ resource }) => resource.id)).toEqual(ids);
    });

    test('is filtered by time, the end not included', async () => {
      const { store, clock } = await openChanged(open);
      const now = clock.now();
      const since = (await store.read.audit.list({ order: 'oldest-first', limit: 10, filter: { since: now } })).items;
      expect(since.map(({ action }) => action)).toEqual(['device.create', 'twin.create']);
      const until = (await store.read.audit.list({ order: 'newest-first', limit: 1, filter: { until: now } })).items;
      expect(until.map(({ resource }) => resource.id)).toEqual(['sensor-two']);
    });

    test('is listed in pages, either way', async () => {
      const { store } = await openChanged(open);
      const { sequence } = await store.read.audit.head();
      for (const order of ['newest-first', 'oldest-first'] as const) {
        const seen: number[] = [];
        let after: string | undefined;
        do {
          const page = await store.read.audit.list({ order, limit: 2, ...(after === undefined ? {} : { after }) });
          seen.push(...page.items.map((entry) => entry.sequence));
          after = page.next;
        } while (after !== undefined);
        const all = Array.from({ length: sequence }, (_, at) => at + 1);
        expect(seen).toEqual(order === 'oldest-first' ? all : all.toReversed());
      }
    });

    test('retention takes the old ones, and the rest can still be checked, against an older head too', async () => {
      const { store, clock } = await openChanged(open);
      const trail = createAuditTrail({ storage: store });
      const middle = await trail.get(4);
      expect(await trail.prune(clock.now(), ada)).toBe(4);
      const verdict = await trail.verify();
      expect(verdict).toMatchObject({ ok: true, checked: 3, prunedThrough: { sequence: 4, hash: middle.hash } });
      expect(await trail.verify({ hash: middle.hash })).toMatchObject({ ok: true });
      expect(await trail.verify({ hash: 'F'.repeat(64) })).toMatchObject({ ok: false, reason: 'exported-head' });
      const [last] = (await trail.list({ order: 'newest-first', limit: 1 })).items;
      expect(last).toMatchObject({ action: 'audit-trail.prune', after: { through: 4, removed: 4 }, actor: { name: 'Ada' } });
      clock.advance(seconds(1));
      expect(await trail.prune(clock.now())).toBe(3);
      expect(await trail.verify()).toMatchObject({ ok: true, checked: 1 });
    });
  });
}
