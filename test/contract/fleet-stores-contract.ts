import { describe, expect, test } from 'vitest';

import type { ReceiptRow, RunRow } from '../../src/fleet/ports.ts';
import type { HubDecisionRow } from '../../src/hub/ports.ts';
import { instant } from '../../src/kernel/clock.ts';
import type { Page, PageRequest } from '../../src/kernel/page.ts';
import type { OpenStore } from './open-sqlite.ts';
import {
  certificate,
  device,
  expectRefusal,
  hubName,
  individual,
  instanceName,
  leaves,
  openSeeded,
  registration,
  sampleInstance,
  telemetry,
} from './samples.ts';

const receipt = (id: string, changes: Partial<ReceiptRow> = {}): ReceiptRow => ({
  id,
  kind: 'revoke',
  device: 'Sensor-1',
  createdBy: 'operator',
  createdAt: instant(5),
  body: { steps: [] },
  ...changes,
});

const run = (id: string): RunRow => ({ id, kind: 'deprovision', request: { reason: 'x' }, createdBy: 'operator', createdAt: instant(1) });

const decision = (trackingId: string, at: number): HubDecisionRow => ({
  trackingId,
  hub: hubName,
  deviceId: 'Sensor-1',
  at: instant(at),
  transport: 'amqp',
  error: 'DeviceNotFound',
  trace: { verdict: 'refuse', steps: [] },
});

/** What the stores of the fleet owe, and what the others owe to it. */
export function describeFleetStores(open: OpenStore): void {
  describeReceipts(open);
  describeRuns(open);
  describeLookups(open);
  describeDrift(open);
}

function describeReceipts(open: OpenStore): void {
  describe('ReceiptStore', () => {
    test('keeps receipts, newest first, by device without case', async () => {
      const { store } = await openSeeded(open);
      const rows = [receipt('a', { undo: { records: [] } }), receipt('b', { device: 'other' }), receipt('c', { device: 'SENSOR-1' })];
      await store.write(async (tx) => {
        for (const row of rows) await tx.receipts.insert(row);
      });
      expect(await store.read.receipts.get('a')).toEqual(rows[0]);
      expect(await store.read.receipts.get('z')).toBeUndefined();
      const listed = async (query: { limit: number; device?: string }) => (await store.read.receipts.list(query)).map(({ id }) => id);
      expect(await listed({ limit: 2 })).toEqual(['c', 'b']);
      expect(await listed({ limit: 9, device: 'sensor-1' })).toEqual(['c', 'a']);
    });

    test('is amended, and undone once: then what was kept for that is forgotten', async () => {
      const { store } = await openSeeded(open);
      await store.write((tx) => tx.receipts.insert(receipt('a', { undo: { secret: 'key' } })));
      await store.write((tx) => tx.receipts.amend('a', { proof: [] }));
      expect(await store.write((tx) => tx.receipts.markUndone('a', 'b'))).toBe(true);
      expect(await store.write((tx) => tx.receipts.markUndone('a', 'c'))).toBe(false);
      expect(await store.read.receipts.get('a')).toEqual(receipt('a', { body: { proof: [] }, undoneBy: 'b' }));
      await expectRefusal(
        store.write((tx) => tx.receipts.amend('z', null)),
        'ResourceNotFound',
      );
    });
  });
}

function describeRuns(open: OpenStore): void {
  describe('RunStore', () => {
    test('keeps every target with its state, in order, whatever their number', async () => {
      const { store } = await openSeeded(open);
      const targets = Array.from({ length: 2500 }, (_, at) => `device-${at}`);
      await store.write((tx) => tx.runs.insert(run('r1'), targets));
      await store.write((tx) => tx.runs.settle({ run: 'r1', ordinal: 0, target: '', state: 'done', receiptId: 'a' }));
      await store.write((tx) => tx.runs.settle({ run: 'r1', ordinal: 2, target: '', state: 'failed', message: 'no' }));
      expect(await store.read.runs.counts('r1')).toEqual({ pending: 2498, done: 1, failed: 1 });
      const { items, next } = await store.read.runs.items('r1', { limit: 3 });
      expect(items).toEqual([
        { run: 'r1', ordinal: 0, target: 'device-0', state: 'done', receiptId: 'a' },
        { run: 'r1', ordinal: 1, target: 'device-1', state: 'pending' },
        { run: 'r1', ordinal: 2, target: 'device-2', state: 'failed', message: 'no' },
      ]);
      expect(next).toBe('2');
      const pending = await store.read.runs.items('r1', { limit: 2, after: '1', state: 'pending' });
      expect(pending.items.map(({ ordinal }) => ordinal)).toEqual([3, 4]);
    });

    test('is unfinished until it is finished', async () => {
      const { store } = await openSeeded(open);
      await store.write(async (tx) => {
        await tx.runs.insert(run('r1'), []);
        await tx.runs.insert(run('r2'), ['a']);
        await tx.runs.finish('r1', instant(9));
      });
      expect((await store.read.runs.unfinished()).map(({ id }) => id)).toEqual(['r2']);
      expect(await store.read.runs.get('r1')).toEqual({ ...run('r1'), finishedAt: instant(9) });
      expect((await store.read.runs.list(9)).map(({ id }) => id)).toEqual(['r2', 'r1']);
      expect(await store.read.runs.counts('r1')).toEqual({ pending: 0, done: 0, failed: 0 });
    });
  });
}

function describeLookups(open: OpenStore): void {
  describe('what the fleet looks up', () => {
    test('records by their last leaf and by the device id that they led to', async () => {
      const { store } = await openSeeded(open);
      await store.write(async (tx) => {
        await tx.registrations.put(registration('one', { leafSha256: 'AA', deviceId: 'pump' }));
        await tx.registrations.put(registration('two', { leafSha256: 'BB', deviceId: 'pump' }));
      });
      const found = async (by: Parameters<typeof store.read.registrations.find>[0]) =>
        (await store.read.registrations.find(by)).map(({ registrationId }) => registrationId);
      expect(await found({ leafSha256: 'AA' })).toEqual(['one']);
      expect(await found({ deviceId: 'pump' })).toEqual(['one', 'two']);
      expect(await found({ deviceId: 'PUMP' })).toEqual([]);
    });

    test('identities by either thumbprint', async () => {
      const { store } = await openSeeded(open);
      const accepting = (primaryThumbprint: string, secondaryThumbprint: string) =>
        ({ authentication: { type: 'selfSigned', primaryThumbprint, secondaryThumbprint } }) as const;
      await store.write(async (tx) => {
        await tx.devices.insert(device('one', accepting('AA', 'BB')));
        await tx.devices.insert(device('two', accepting('BB', 'CC')));
      });
      expect((await store.read.devices.byThumbprint('BB')).map(({ deviceId }) => deviceId)).toEqual(['one', 'two']);
      expect(await store.read.devices.byThumbprint('DD')).toEqual([]);
    });

    test('what a device presented last goes with its record', async () => {
      const { store } = await openSeeded(open);
      const shown = { leafSha256: 'AA', publicKeySha256: 'KK', certificates: [new Uint8Array([1, 2]), new Uint8Array([3])] };
      await store.write(async (tx) => {
        await tx.registrations.put(registration('one'));
        await tx.presented.put(instanceName, 'one', { ...shown, certificates: [] });
        await tx.presented.put(instanceName, 'ONE', shown);
      });
      expect(await store.read.presented.get(instanceName, 'one')).toEqual(shown.certificates);
      expect(await store.read.presented.withKey('KK')).toEqual(['one']);
      expect(await store.read.presented.withKey('LL')).toEqual([]);
      await store.write((tx) => tx.registrations.put(registration('one', { status: 'disabled' })));
      expect(await store.read.presented.get(instanceName, 'one')).toEqual(shown.certificates);
      await store.write((tx) => tx.registrations.delete(instanceName, 'one', undefined));
      expect(await store.read.presented.get(instanceName, 'one')).toBeUndefined();
    });

    test('refusals of hubs, bounded like those of provisioning', async () => {
      const { store } = await openSeeded(open);
      await store.write(async (tx) => {
        for (const at of [1, 2, 3, 4]) await tx.hubDecisions.append(decision(`t${at}`, at));
      });
      expect(await store.read.hubDecisions.get('t3')).toEqual(decision('t3', 3));
      expect(await store.write((tx) => tx.hubDecisions.prune({ before: instant(2), keep: 2 }))).toBe(2);
      expect(await store.read.hubDecisions.get('t2')).toBeUndefined();
      expect(await store.read.hubDecisions.get('t3')).toBeDefined();
    });

    test('telemetry of one device is erased, and its numbers are not given out again', async () => {
      const { store } = await openSeeded(open);
      await store.write((tx) => tx.telemetry.append([telemetry('one', 'a'), telemetry('two', 'b'), telemetry('one', 'c')]));
      expect(await store.write((tx) => tx.telemetry.erase(hubName, 'one'))).toBe(2);
      const left = await store.read.telemetry.read(hubName, { after: 0, limit: 9 });
      expect(left.map(({ sequenceNumber, deviceId }) => [sequenceNumber, deviceId])).toEqual([[2, 'two']]);
      expect(await store.write((tx) => tx.telemetry.append([telemetry('two', 'd')]))).toBe(4);
    });
  });
}

function describeDrift(open: OpenStore): void {
  describe('DriftStore', () => {
    test('pages records and identities of everything, without modules, keys or what is not asked', async () => {
      const { store } = await openSeeded(open);
      const second = { name: 'Zeta', hostName: 'zeta.example.net', createdAt: instant(1) };
      await store.write(async (tx) => {
        await tx.hubs.insert(second);
        await tx.instances.insert({ ...sampleInstance, name: 'Zeta', idScope: '0ne00000A09' });
        for (const id of ['b', 'A', 'c']) await tx.registrations.put(registration(id));
        await tx.registrations.put({ ...registration('a'), instance: 'Zeta' });
        for (const id of ['b', 'A']) await tx.devices.insert(device(id, { provisioned: true }));
        await tx.devices.insert(device('A/module'));
        await tx.devices.insert({ ...device('a'), hub: 'Zeta' });
      });
      const { drift } = store.read;
      const all = async <T>(read: (page: PageRequest) => Promise<Page<T>>, limit: number): Promise<readonly T[]> => {
        const found: T[] = [];
        let after: string | undefined;
        do {
          const page = await read({ limit, ...(after === undefined ? {} : { after }) });
          found.push(...page.items);
          after = page.next;
        } while (after !== undefined);
        return found;
      };
      for (const limit of [1, 2, 9]) {
        const records = await all((page) => drift.records(page), limit);
        expect(records.map(({ instance, registrationId }) => `${instance} ${registrationId}`)).toEqual([
          `${instanceName} A`,
          `${instanceName} b`,
          `${instanceName} c`,
          'Zeta a',
        ]);
        const identities = await all((page) => drift.identities(page), limit);
        expect(identities.map(({ hub, deviceId, provisioned }) => [hub, deviceId, provisioned])).toEqual([
          [hubName, 'A', true],
          [hubName, 'b', true],
          ['Zeta', 'a', undefined],
        ]);
      }
    });

    test('finds what many records refer to in one look each', async () => {
      const { store } = await openSeeded(open);
      await store.write(async (tx) => {
        await tx.devices.insert(device('one', { authentication: { type: 'selfSigned', primaryThumbprint: 'AA' } }));
        await tx.devices.insert(device('Two'));
        await tx.registrations.put(registration('r1', { deviceId: 'one', assignedHub: 'hub.example.net', leafSha256: 'AA' }));
        await tx.enrollments.insert(individual('Entry', { attestation: leaves('x', 'y') }));
        await tx.enrollments.insert(individual('keyed', { attestation: { type: 'symmetricKey', primaryKey: 'k', secondaryKey: 'l' } }));
      });
      const { drift } = store.read;
      const ids = Array.from({ length: 2500 }, (_, at) => `none-${at}`);
      const identities = await drift.identitiesOf(hubName.toUpperCase(), [...ids, 'one', 'two']);
      expect(identities).toEqual([{ hub: hubName, deviceId: 'one', authentication: { type: 'selfSigned', primaryThumbprint: 'AA' } }]);
      const records = await drift.recordsOf([...ids, 'one', 'ONE']);
      expect(records.map(({ registrationId, deviceId, leafSha256 }) => [registrationId, deviceId, leafSha256])).toEqual([
        ['r1', 'one', 'AA'],
      ]);
      const entries = await drift.entriesOf('individual', instanceName.toLowerCase(), [...ids, 'ENTRY', 'keyed']);
      expect(entries.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
        { kind: 'individual', instance: instanceName, id: 'Entry', leaves: [certificate('x').sha256, certificate('y').sha256] },
        { kind: 'individual', instance: instanceName, id: 'keyed', leaves: [] },
      ]);
      expect(await drift.entriesOf('group', instanceName, ['Entry'])).toEqual([]);
      expect(await drift.identitiesOf(hubName, [])).toEqual([]);
    });
  });
}
