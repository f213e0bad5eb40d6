import { describe, expect, test } from 'vitest';

import type { DeviceRow } from '../../src/hub/ports.ts';
import { instant } from '../../src/kernel/clock.ts';
import type { SqlStore } from '../../src/stores/sql/store.ts';
import type { OpenStore } from './open-sqlite.ts';
import { device, expectRefusal, hubName, openSeeded, twin } from './samples.ts';

const insert = (store: SqlStore, ...rows: readonly DeviceRow[]): Promise<void> =>
  store.write(async (tx) => {
    for (const row of rows) await tx.devices.insert(row);
  });

const ids = (rows: readonly DeviceRow[]): readonly string[] => rows.map((row) => row.deviceId);

/** What every implementation of `DeviceStore` owes. */
export function describeDeviceStore(open: OpenStore): void {
  describe('DeviceStore', () => {
    describeContents(open);
    describeChanges(open);
    describeListing(open);
    describeModules(open);
    describeScopes(open);
  });
}

function describeModules(open: OpenStore): void {
  test('a module is found by its path, has the status of its device, and is no device', async () => {
    const { store } = await openSeeded(open);
    await insert(store, device('d'), device('d/m', { managedBy: 'IotEdge' }), device('d/a'), device('e'));
    expect(await store.read.devices.get(hubName, 'd/m')).toEqual(device('d/m', { managedBy: 'IotEdge' }));
    expect(ids((await store.read.devices.list(hubName, { limit: 10 })).items)).toEqual(['d', 'e']);
    expect(ids(await store.read.devices.modulesOf(hubName, 'd'))).toEqual(['d/a', 'd/m']);
    expect(await store.read.devices.modulesOf(hubName, 'e')).toEqual([]);
    const off = { status: 'disabled', statusReason: 'lost', statusUpdatedAt: instant(7) } as const;
    await store.write((tx) => tx.devices.replace(device('d', { ...off, etagCounter: 2 }), 1));
    expect(await store.read.devices.get(hubName, 'd/m')).toMatchObject(off);
    expect(await store.read.devices.modulesOf(hubName, 'd')).toMatchObject([off, off]);
  });

  test('a device takes its modules and their twins along; a module goes alone', async () => {
    const { store } = await openSeeded(open);
    await insert(store, device('d'), device('d/m'), device('d/n'), device('dd'), device('dd/m'));
    await store.write(async (tx) => {
      for (const path of ['d', 'd/m', 'd/n']) await tx.twins.insert(twin(path));
    });
    await store.write((tx) => tx.devices.delete(hubName, 'd/m', undefined));
    expect(await store.read.twins.get(hubName, 'd/m')).toBeUndefined();
    expect(await store.read.devices.get(hubName, 'd')).toBeDefined();
    await store.write((tx) => tx.devices.delete(hubName, 'd', undefined));
    expect(await store.read.devices.get(hubName, 'd/n')).toBeUndefined();
    expect(await store.read.twins.get(hubName, 'd/n')).toBeUndefined();
    expect(await store.read.devices.get(hubName, 'dd/m')).toBeDefined();
  });
}

function describeScopes(open: OpenStore): void {
  test('an edge device is found by its scope, those below it are not', async () => {
    const { store } = await openSeeded(open);
    const scope = 'ms-azure-iot-edge://edge-1';
    await insert(store, device('edge', { iotEdge: true, deviceScope: scope }));
    await insert(
      store,
      device('leaf', { deviceScope: scope, parentScope: scope }),
      device('a', { deviceScope: scope, parentScope: scope }),
    );
    expect((await store.read.devices.byScope(hubName, scope))?.deviceId).toBe('edge');
    expect(await store.read.devices.byScope(hubName, 'other')).toBeUndefined();
  });
}

function describeContents(open: OpenStore): void {
  const shapes: readonly (readonly [string, DeviceRow])[] = [
    ['no optional member', device('plain')],
    ['keys', device('keys', { authentication: { type: 'sas', primaryKey: 'a', secondaryKey: 'b' } })],
    ['thumbprints', device('x509', { authentication: { type: 'selfSigned', primaryThumbprint: 'AB', secondaryThumbprint: 'CD' } })],
    ['one thumbprint', device('one', { authentication: { type: 'selfSigned', secondaryThumbprint: 'CD' } })],
    ['a status with its reason', device('off', { status: 'disabled', statusReason: 'lost', statusUpdatedAt: instant(7), iotEdge: true })],
    ['an empty reason', device('empty', { statusReason: '' })],
    ['every sign an id may have', device("-:.+%_#*?!(),=@;$'", { generationId: '9999999999999999999' })],
  ];
  test.each(shapes)('gives back what was stored: %s', async (_name, row) => {
    const { store } = await openSeeded(open);
    await insert(store, row);
    expect(await store.read.devices.get('HUB-LOCAL', row.deviceId)).toEqual(row);
  });

  test('device ids compare with case, hub names without', async () => {
    const { store } = await openSeeded(open);
    await insert(store, device('Sensor'), device('sensor', { etagCounter: 7 }));
    expect((await store.read.devices.get('hub-local', 'Sensor'))?.etagCounter).toBe(1);
    expect((await store.read.devices.get('hub-local', 'sensor'))?.etagCounter).toBe(7);
    expect(await store.read.devices.get(hubName, 'SENSOR')).toBeUndefined();
    expect(await store.read.devices.get('elsewhere', 'sensor')).toBeUndefined();
  });

  test('a device needs its hub', async () => {
    const { store } = await openSeeded(open);
    await expect(insert(store, device('one', { hub: 'elsewhere' }))).rejects.toThrow('FOREIGN KEY');
  });
}

function describeChanges(open: OpenStore): void {
  test('an id that is taken is refused', async () => {
    const { store } = await openSeeded(open);
    await insert(store, device('one'));
    await expectRefusal(insert(store, device('one', { hub: 'HUB-LOCAL', etagCounter: 9 })), 'DeviceAlreadyExists');
    expect(await store.read.devices.get(hubName, 'one')).toEqual(device('one'));
  });

  test('replacing compares the etag counter, exchanges everything, and says what is wrong', async () => {
    const { store } = await openSeeded(open);
    await insert(store, device('one', { statusReason: 'old', authentication: { type: 'sas', primaryKey: 'a', secondaryKey: 'b' } }));
    const next = device('one', { etagCounter: 2, status: 'disabled', authentication: { type: 'selfSigned', primaryThumbprint: 'AB' } });
    const replace = (row: DeviceRow, counter?: number) => store.write((tx) => tx.devices.replace(row, counter));
    await expectRefusal(replace(next, 9), 'PreconditionFailed');
    await expectRefusal(replace(device('none'), 1), 'DeviceNotFound');
    await expectRefusal(replace(device('none')), 'DeviceNotFound');
    await replace(next, 1);
    expect(await store.read.devices.get(hubName, 'one')).toEqual(next);
    await replace({ ...next, etagCounter: 3 });
    expect((await store.read.devices.get(hubName, 'one'))?.etagCounter).toBe(3);
  });

  test('of two writers with the same etag counter one wins', async () => {
    const { store } = await openSeeded(open);
    await insert(store, device('one'));
    const attempt = (statusReason: string) => store.write((tx) => tx.devices.replace(device('one', { etagCounter: 2, statusReason }), 1));
    const [first, second] = await Promise.allSettled([attempt('first'), attempt('second')]);
    expect(first.status).toBe('fulfilled');
    expect(second).toMatchObject({ status: 'rejected', reason: { error: 'PreconditionFailed' } });
    expect((await store.read.devices.get(hubName, 'one'))?.statusReason).toBe('first');
  });

  test('deleting takes the twin along, compares the etag counter, and says what is wrong', async () => {
    const { store } = await openSeeded(open);
    await insert(store, device('one'), device('two'));
    await store.write(async (tx) => {
      await tx.twins.insert(twin('one'));
      await tx.twins.insert(twin('two'));
    });
    const remove = (id: string, counter?: number) => store.write((tx) => tx.devices.delete('hub-LOCAL', id, counter));
    await expectRefusal(remove('one', 9), 'PreconditionFailed');
    await expectRefusal(remove('ONE', 1), 'DeviceNotFound');
    await expectRefusal(remove('none'), 'DeviceNotFound');
    await remove('one', 1);
    expect(await store.read.devices.get(hubName, 'one')).toBeUndefined();
    expect(await store.read.twins.get(hubName, 'one')).toBeUndefined();
    expect(await store.read.twins.get(hubName, 'two')).toEqual(twin('two'));
    await insert(store, device('one', { generationId: '638000000000000002' }));
    expect(await store.read.twins.get(hubName, 'one')).toBeUndefined();
  });
}

function describeListing(open: OpenStore): void {
  test('lists in the order of ids with case, page by page, while others come and go', async () => {
    const { store } = await openSeeded(open);
    await insert(store, ...['b', 'B', 'd', 'f'].map((id) => device(id)));
    const first = await store.read.devices.list('hub-local', { limit: 2 });
    expect(ids(first.items)).toEqual(['B', 'b']);
    await store.write(async (tx) => {
      await tx.devices.insert(device('a'));
      await tx.devices.insert(device('c'));
      await tx.devices.delete(hubName, 'd', undefined);
    });
    const second = await store.read.devices.list(hubName, { limit: 2, after: first.next ?? '' });
    expect(ids(second.items)).toEqual(['c', 'f']);
    expect(second.next).toBeUndefined();
    expect(await store.read.devices.list('elsewhere', { limit: 2 })).toEqual({ items: [] });
  });

  test('lists edge devices alone, page by page', async () => {
    const { store } = await openSeeded(open);
    await insert(store, device('a', { iotEdge: true }), device('b'), device('c', { iotEdge: true }), device('d'));
    const first = await store.read.devices.list(hubName, { limit: 1 }, 'edge');
    expect(ids(first.items)).toEqual(['a']);
    const second = await store.read.devices.list(hubName, { limit: 1, after: first.next ?? '' }, 'edge');
    expect([ids(second.items), second.next]).toEqual([['c'], undefined]);
  });
}
