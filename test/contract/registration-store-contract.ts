import { describe, expect, test } from 'vitest';

import { instant } from '../../src/kernel/clock.ts';
import type { OperationRow, RegistrationRow } from '../../src/provisioning/ports.ts';
import type { SqlStore } from '../../src/stores/sql/store.ts';
import type { OpenStore } from './open-sqlite.ts';
import { expectRefusal, instanceName, openSeeded, registration } from './samples.ts';

const put = (store: SqlStore, ...rows: readonly RegistrationRow[]): Promise<void> =>
  store.write(async (tx) => {
    for (const row of rows) await tx.registrations.put(row);
  });

const putOperations = (store: SqlStore, ...rows: readonly OperationRow[]): Promise<void> =>
  store.write(async (tx) => {
    for (const row of rows) await tx.registrations.putOperation(row);
  });

const operation = (operationId: string, changes: Partial<OperationRow> = {}): OperationRow => ({
  instance: instanceName,
  operationId,
  registrationId: 'Sensor-One',
  createdAt: instant(1_700_000_000_001),
  ...changes,
});

const ids = (rows: readonly RegistrationRow[]): readonly string[] => rows.map((row) => row.registrationId);

/** What every implementation of `RegistrationStore` owes. */
export function describeRegistrationStore(open: OpenStore): void {
  describe('RegistrationStore', () => {
    describeRecords(open);
    describeListing(open);
    describeOperations(open);
  });
}

function describeRecords(open: OpenStore): void {
  test('gives back what was stored', async () => {
    const { store } = await openSeeded(open);
    const full = registration('Sensor-One', {
      substatus: 'initialAssignment',
      assignedHub: 'Hub.Example.net',
      deviceId: 'Sensor-One',
      errorCode: 400207,
      errorMessage: 'Custom allocation failed.',
      payload: { model: 'dtmi:x;1', nested: { list: [1, null, true] } },
      leafSha256: 'AB'.repeat(32),
    });
    await put(store, full, registration('plain', { enrollmentKind: 'individual', enrollmentId: 'plain', status: 'assigning' }));
    expect(await store.read.registrations.get('DPS-LOCAL', 'sensor-one')).toEqual(full);
    expect(await store.read.registrations.get(instanceName, 'plain')).toEqual(
      registration('plain', { enrollmentKind: 'individual', enrollmentId: 'plain', status: 'assigning' }),
    );
    expect(await store.read.registrations.get(instanceName, 'unknown')).toBeUndefined();
  });

  test('there is one record per registration id, and putting again replaces all of it', async () => {
    const { store } = await openSeeded(open);
    await put(store, registration('one', { assignedHub: 'a', deviceId: 'one', payload: { a: 1 } }));
    const next = registration('ONE', { etag: 'next', status: 'disabled', enrollmentKind: 'individual', enrollmentId: 'one' });
    await put(store, next);
    expect(await store.read.registrations.get(instanceName, 'one')).toEqual(next);
    expect((await store.read.registrations.listByGroup(instanceName, 'Plant-One', { limit: 10 })).items).toEqual([]);
  });

  test('deleting compares the etag and says what is wrong', async () => {
    const { store } = await openSeeded(open);
    await put(store, registration('one'), registration('two'));
    const remove = (id: string, etag?: string) => store.write((tx) => tx.registrations.delete(instanceName, id, etag));
    await expectRefusal(remove('one', 'stale'), 'DpsPreconditionFailed');
    await expectRefusal(remove('none', 'stale'), 'DpsRecordNotFound');
    await expectRefusal(remove('none'), 'DpsRecordNotFound');
    await remove('ONE', 'etag-of-one');
    await remove('two');
    expect(await store.read.registrations.get(instanceName, 'one')).toBeUndefined();
    expect(await store.read.registrations.get(instanceName, 'two')).toBeUndefined();
  });

  test('of two deletes with the same etag one wins', async () => {
    const { store } = await openSeeded(open);
    await put(store, registration('one'));
    const remove = () => store.write((tx) => tx.registrations.delete(instanceName, 'one', 'etag-of-one'));
    const [first, second] = await Promise.allSettled([remove(), remove()]);
    expect(first.status).toBe('fulfilled');
    expect(second).toMatchObject({ status: 'rejected', reason: { error: 'DpsRecordNotFound' } });
  });
}

function describeListing(open: OpenStore): void {
  test('lists the records of one group in the order of ids, page by page, while others come and go', async () => {
    const { store } = await openSeeded(open);
    await put(
      store,
      ...['B', 'd', 'F', 'h'].map((id) => registration(id)),
      registration('c', { enrollmentId: 'Plant-Two' }),
      registration('e', { enrollmentKind: 'individual', enrollmentId: 'Plant-One' }),
    );
    const first = await store.read.registrations.listByGroup('dps-local', 'PLANT-one', { limit: 2 });
    expect(ids(first.items)).toEqual(['B', 'd']);
    const rest = await store.read.registrations.listByGroup(instanceName, 'plant-one', { limit: 2, after: first.next ?? '' });
    expect(ids(rest.items)).toEqual(['F', 'h']);
    await store.write(async (tx) => {
      await tx.registrations.put(registration('a'));
      await tx.registrations.put(registration('g'));
      await tx.registrations.delete(instanceName, 'd', undefined);
    });
    const second = await store.read.registrations.listByGroup(instanceName, 'plant-one', { limit: 3, after: first.next ?? '' });
    expect(ids(second.items)).toEqual(['F', 'g', 'h']);
    expect(second.next).toBeUndefined();
    expect([await store.read.registrations.count('DPS-local'), await store.read.registrations.count('none')]).toEqual([7, 0]);
    expect(await store.read.registrations.listByGroup(instanceName, 'unknown', { limit: 3 })).toEqual({ items: [] });
    const all = await store.read.registrations.list('DPS-LOCAL', { limit: 2, after: 'C' });
    expect([ids(all.items), all.next]).toEqual([['e', 'F'], 'f']);
  });
}

function describeOperations(open: OpenStore): void {
  test('an operation is found by its id, and gets its outcome', async () => {
    const { store } = await openSeeded(open);
    await putOperations(store, operation('4.aa.one'));
    expect(await store.read.registrations.getOperation('DPS-LOCAL', '4.aa.one')).toEqual(operation('4.aa.one'));
    await putOperations(store, operation('4.aa.one', { outcome: 'done' }));
    expect(await store.read.registrations.getOperation(instanceName, '4.aa.one')).toEqual(operation('4.aa.one', { outcome: 'done' }));
    expect(await store.read.registrations.getOperation('elsewhere', '4.aa.one')).toBeUndefined();
    expect(await store.read.registrations.getOperation(instanceName, '4.AA.ONE')).toBeUndefined();
  });

  test('what a waiting operation keeps is there until it ends', async () => {
    const { store } = await openSeeded(open);
    const request = { registrationId: 'Sensor-One', credentials: { certificates: ['AAAA'], sasToken: 'a token' }, payload: [1, null] };
    const waiting = operation('4.aa.one', { trackingId: 'a tracking id', request });
    await putOperations(store, waiting);
    expect(await store.read.registrations.getOperation(instanceName, '4.aa.one')).toEqual(waiting);
    await putOperations(store, operation('4.aa.one', { outcome: 'done' }));
    expect(await store.read.registrations.getOperation(instanceName, '4.aa.one')).toEqual(operation('4.aa.one', { outcome: 'done' }));
  });

  test('the running operation of a device is found by its id in any case', async () => {
    const { store } = await openSeeded(open);
    const running = operation('running', { registrationId: 'Sensor-Two' });
    await putOperations(store, operation('ended', { registrationId: 'Sensor-Two', outcome: 'done' }), running, operation('other'));
    expect(await store.read.registrations.runningOperation('DPS-LOCAL', 'SENSOR-TWO')).toEqual(running);
    expect(await store.read.registrations.runningOperation(instanceName, 'sensor-three')).toBeUndefined();
    await putOperations(store, { ...running, outcome: 'done' });
    expect(await store.read.registrations.runningOperation(instanceName, 'sensor-two')).toBeUndefined();
  });

  test('a restart finds the keys of operations that keep a request, page by page, and ends the others', async () => {
    const { store } = await openSeeded(open);
    const request = { registrationId: 'Sensor-One' };
    const waiting = ['a', 'b', 'c'].map((id) => operation(id, { trackingId: `tracking ${id}`, request }));
    const ended = operation('0', { outcome: 'done' });
    await putOperations(store, ...waiting.toReversed(), ended, operation('bare'), operation('also bare'));
    const page = (after?: string) => store.read.registrations.unfinishedOperations({ limit: 2, ...(after === undefined ? {} : { after }) });
    const first = await page();
    const keyOf = (operationId: string) => ({ instance: instanceName, operationId });
    expect(first.items).toEqual([keyOf('a'), keyOf('b')]);
    expect(await page(first.next)).toEqual({ items: [keyOf('c')] });
    expect(await store.write((tx) => tx.registrations.endRequestlessOperations())).toBe(2);
    expect(await store.read.registrations.getOperation(instanceName, 'bare')).toMatchObject({ outcome: 'done' });
    expect(await store.read.registrations.getOperation(instanceName, 'a')).toEqual(waiting[0]);
    expect(await store.write((tx) => tx.registrations.endRequestlessOperations())).toBe(0);
  });

  test('forgets ended operations that are old enough, and no other', async () => {
    const { store } = await openSeeded(open);
    await putOperations(
      store,
      operation('old', { createdAt: instant(9), outcome: 'done' }),
      operation('older', { createdAt: instant(1), outcome: 'done' }),
      operation('recent', { createdAt: instant(10), outcome: 'done' }),
      operation('running', { createdAt: instant(1) }),
    );
    expect(await store.write((tx) => tx.registrations.forgetOperations(instant(10)))).toBe(2);
    const left = await Promise.all(
      ['old', 'older', 'recent', 'running'].map((id) => store.read.registrations.getOperation(instanceName, id)),
    );
    expect(left.map((row) => row?.operationId)).toEqual([undefined, undefined, 'recent', 'running']);
    expect(await store.write((tx) => tx.registrations.forgetOperations(instant(10)))).toBe(0);
  });
}
