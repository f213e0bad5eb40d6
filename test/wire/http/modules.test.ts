import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openService, type TestService } from './service.ts';

let service: TestService;
beforeAll(async () => (service = await openService()));
afterAll(() => service.close());

const ask = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
  service.hubService({ method, path, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
const device = (id: string, body: object = {}) => ask('PUT', `/devices/${id}`, { deviceId: id, ...body });
const module = (id: string, moduleId: string, body: object = {}, headers: Record<string, string> = {}) =>
  ask('PUT', `/devices/${id}/modules/${moduleId}`, { deviceId: id, moduleId, ...body }, headers);
const errorOf = (answer: Awaited<ReturnType<typeof ask>>) => [answer.status, answer.headers['iothub-errorcode']];

describe('module identities', () => {
  test('PUT creates with keys; the answer has no status and no ETag header', async () => {
    await device('d-1');
    const created = await module('d-1', 'm', { managedBy: 'me' });
    expect([created.status, created.headers.etag]).toEqual([200, undefined]);
    expect(Object.keys(created.json)).toEqual([
      'moduleId',
      'managedBy',
      'deviceId',
      'generationId',
      'etag',
      'connectionState',
      'connectionStateUpdatedTime',
      'lastActivityTime',
      'cloudToDeviceMessageCount',
      'authentication',
    ]);
    expect(created.json).toMatchObject({ moduleId: 'm', deviceId: 'd-1', managedBy: 'me' });
    expect(created.json.authentication.symmetricKey.primaryKey).toMatch(/^[A-Za-z0-9+/]{43}=$/u);
    expect((await ask('GET', '/devices/d-1/modules/m')).json).toEqual(created.json);
    expect((await ask('GET', '/devices/d-1/modules')).json).toEqual([created.json]);
    expect(errorOf(await module('d-1', 'm'))).toEqual([409, 'ModuleAlreadyExistsOnDevice']);
  });

  test('If-Match decides over update and delete', async () => {
    await device('d-2');
    const { etag } = (await module('d-2', 'm')).json as { etag: string };
    expect(errorOf(await module('d-2', 'm', {}, { 'if-match': '"c3RhbGU="' }))).toEqual([412, 'PreconditionFailed']);
    const updated = await module('d-2', 'm', { managedBy: 'you' }, { 'if-match': `"${etag}"` });
    expect(updated.json).toMatchObject({ managedBy: 'you' });
    expect(updated.json.etag).not.toBe(etag);
    expect(errorOf(await ask('DELETE', '/devices/d-2/modules/m', undefined, { 'if-match': `"${etag}"` }))).toEqual([
      412,
      'PreconditionFailed',
    ]);
    expect((await ask('DELETE', '/devices/d-2/modules/m', undefined, { 'if-match': '*' })).status).toBe(204);
    expect(errorOf(await ask('GET', '/devices/d-2/modules/m'))).toEqual([404, 'ModuleNotFound']);
  });

  test('what is missing is named: the device, or the module', async () => {
    await device('d-3');
    expect(errorOf(await module('none', 'm'))).toEqual([404, 'DeviceNotFound']);
    expect(errorOf(await ask('GET', '/devices/none/modules'))).toEqual([404, 'DeviceNotFound']);
    expect(errorOf(await ask('GET', '/twins/d-3/modules/m'))).toEqual([404, 'ModuleNotFound']);
    expect(errorOf(await ask('DELETE', '/devices/d-3/modules/m', undefined, { 'if-match': '*' }))).toEqual([404, 'ModuleNotFound']);
    expect(errorOf(await ask('POST', '/twins/d-3/modules/m/methods', { methodName: 'x' }))).toEqual([404, 'ModuleNotFound']);
  });

  test.each([
    ['another module id in the body', 'm', { moduleId: 'n' }],
    ['another device id in the body', 'm', { deviceId: 'other' }],
    ['an id that no module may have', 'a b', {}],
    ['a key that is none', 'm', { authentication: { symmetricKey: { primaryKey: 'x', secondaryKey: 'x' } } }],
  ])('refused/%s', async (_what, moduleId, body) => {
    await device('d-4');
    const id = encodeURIComponent(moduleId);
    expect(errorOf(await ask('PUT', `/devices/d-4/modules/${id}`, { deviceId: 'd-4', moduleId, ...body }))).toEqual([
      400,
      'ArgumentInvalid',
    ]);
  });

  test('an encoded slash names no module', async () => {
    await device('d-5');
    await module('d-5', 'm');
    expect(errorOf(await ask('GET', '/devices/d-5%2Fm'))).toEqual([404, 'DeviceNotFound']);
    expect(errorOf(await ask('DELETE', '/devices/d-5%2Fm', undefined, { 'if-match': '*' }))).toEqual([404, 'DeviceNotFound']);
    expect(errorOf(await ask('GET', '/twins/d-5%2Fm'))).toEqual([400, 'ArgumentInvalid']);
    expect((await ask('GET', '/devices/d-5/modules/m')).status).toBe(200);
  });

  test('a device has at most 50', async () => {
    await device('d-6');
    const items = Array.from({ length: 50 }, (_, index) => ({ id: 'd-6', moduleId: `m-${index}`, importMode: 'create' }));
    expect((await ask('POST', '/devices', items)).json).toEqual({ isSuccessful: true, errors: [], warnings: [] });
    expect(errorOf(await module('d-6', 'one-more'))).toEqual([413, 'TooManyModulesOnDevice']);
    const again = await ask('POST', '/devices', [{ id: 'd-6', moduleId: 'm-1', importMode: 'create' }]);
    expect(again.json.errors).toMatchObject([{ deviceId: 'd-6', moduleId: 'm-1', errorCode: 'ModuleAlreadyExistsOnDevice' }]);
  });

  test('modules go with their device', async () => {
    await device('d-7');
    await module('d-7', 'm');
    await ask('DELETE', '/devices/d-7', undefined, { 'if-match': '*' });
    await device('d-7');
    expect((await ask('GET', '/devices/d-7/modules')).json).toEqual([]);
  });
});

describe('module twins', () => {
  test('are read, patched and replaced beside that of the device', async () => {
    await device('t-1');
    await module('t-1', 'm');
    const patched = await ask('PATCH', '/twins/t-1/modules/m', { properties: { desired: { a: 1 } }, tags: { b: 2 } });
    expect(patched.json).toMatchObject({ deviceId: 't-1', moduleId: 'm', tags: { b: 2 }, properties: { desired: { a: 1, $version: 2 } } });
    const replaced = await ask(
      'PUT',
      '/twins/t-1/modules/m',
      { properties: { desired: { c: 3 } } },
      { 'if-match': `"${patched.json.etag}"` },
    );
    expect(replaced.json.properties.desired).toMatchObject({ c: 3, $version: 3 });
    expect((await ask('GET', '/twins/t-1')).json.properties.desired).toMatchObject({ $version: 1 });
    expect((await ask('GET', '/twins/t-1')).json).not.toHaveProperty('moduleId');
  });
});

describe('edge', () => {
  test('an edge device gets its scope and the two modules that it runs', async () => {
    const { json } = await device('edge-1', { capabilities: { iotEdge: true } });
    expect(json.deviceScope).toBe(`ms-azure-iot-edge://edge-1-${String(json.generationId)}`);
    const modules = (await ask('GET', '/devices/edge-1/modules')).json as { moduleId: string; managedBy: string }[];
    expect(modules.map(({ moduleId, managedBy }) => [moduleId, managedBy])).toEqual([
      ['$edgeAgent', 'IotEdge'],
      ['$edgeHub', 'IotEdge'],
    ]);
  });

  test('a device below it takes its scope over; one without a parent has none', async () => {
    const { deviceScope } = (await device('edge-2', { capabilities: { iotEdge: true } })).json;
    const leaf = (await device('leaf-2', { parentScopes: [deviceScope] })).json;
    expect([leaf.deviceScope, leaf.parentScopes]).toEqual([deviceScope, [deviceScope]]);
    const older = (await device('leaf-3', { deviceScope })).json;
    expect([older.deviceScope, older.parentScopes]).toEqual([deviceScope, [deviceScope]]);
    const child = (await device('edge-3', { capabilities: { iotEdge: true }, parentScopes: [deviceScope] })).json;
    expect([child.parentScopes, child.deviceScope === deviceScope]).toEqual([[deviceScope], false]);
    expect((await device('leaf-4')).json).not.toHaveProperty('deviceScope');
    const freed = (await ask('PUT', '/devices/leaf-2', { deviceId: 'leaf-2' }, { 'if-match': '*' })).json;
    expect(freed).not.toHaveProperty('parentScopes');
    expect((await ask('GET', '/twins/leaf-3')).json).toMatchObject({ deviceScope, parentScopes: [deviceScope] });
  });

  test('refused/a scope that no edge device has, two parents, and a device above itself', async () => {
    const one = (await device('edge-5', { capabilities: { iotEdge: true } })).json;
    const two = (await device('edge-6', { capabilities: { iotEdge: true }, parentScopes: [one.deviceScope] })).json;
    expect(errorOf(await device('leaf-5', { parentScopes: ['ms-azure-iot-edge://none-1'] }))).toEqual([400, 'InvalidDeviceScope']);
    expect(errorOf(await device('leaf-6', { parentScopes: [one.deviceScope, two.deviceScope] }))).toEqual([400, 'ArgumentInvalid']);
    const circle = { deviceId: 'edge-5', capabilities: { iotEdge: true }, parentScopes: [two.deviceScope] };
    expect(errorOf(await ask('PUT', '/devices/edge-5', circle, { 'if-match': '*' }))).toEqual([400, 'InvalidDeviceScope']);
  });
});

describe('keys/regenerate', () => {
  const renew = (policyKey: string, ...devices: readonly object[]) => ask('POST', '/devices/keys/regenerate', { policyKey, devices });
  const keysOf = async (path: string) => (await ask('GET', path)).json.authentication.symmetricKey as Record<string, string>;

  test('renews the keys that were asked for, of devices and modules', async () => {
    await device('k-1');
    await module('k-1', 'm');
    const before = [await keysOf('/devices/k-1'), await keysOf('/devices/k-1/modules/m')];
    const { status, json } = await renew('primaryKey', { id: 'k-1' }, { id: 'k-1', moduleId: 'm' });
    const after = [await keysOf('/devices/k-1'), await keysOf('/devices/k-1/modules/m')];
    expect([status, json]).toEqual([
      200,
      {
        policyKey: 'primaryKey',
        rotatedKeys: [
          { id: 'k-1', ...after[0] },
          { id: 'k-1', moduleId: 'm', ...after[1] },
        ],
        errors: [],
      },
    ]);
    after.forEach((keys, index) => {
      expect(keys['primaryKey']).not.toBe(before[index]?.['primaryKey']);
      expect(keys['secondaryKey']).toBe(before[index]?.['secondaryKey']);
    });
  });

  test('what fails is named, and leaves the others renewed', async () => {
    await device('k-2');
    await device('k-3', { authentication: { type: 'certificateAuthority' } });
    const some = await renew('both', { id: 'k-2' }, { id: 'none' }, { id: 'k-3' });
    expect([some.status, some.json.rotatedKeys.length]).toEqual([207, 1]);
    expect(some.json.errors).toMatchObject([
      { id: 'none', errorCode: 'DeviceNotFound' },
      { id: 'k-3', errorCode: 'ArgumentInvalid' },
    ]);
    expect((await renew('both', { id: 'none' })).status).toBe(400);
  });

  test.each([
    ['no key', { devices: [{ id: 'x' }] }],
    ['no devices', { policyKey: 'both', devices: [] }],
    ['a device without an id', { policyKey: 'both', devices: [{}] }],
  ])('refused/%s', async (_what, body) => {
    expect(errorOf(await ask('POST', '/devices/keys/regenerate', body))).toEqual([400, 'ArgumentInvalid']);
  });
});

test('the service statistics count connected devices', async () => {
  expect((await ask('GET', '/statistics/service')).json).toEqual({ connectedDeviceCount: 0 });
});
