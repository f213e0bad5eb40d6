import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TransportName } from '../../src/contracts/transport.ts';
import { SdkFailure } from './harness/azure-sdks.ts';
import { muster } from './harness/service.ts';
import { openStage, type Stage, hubA } from './harness/stage.ts';

interface ModuleIdentity {
  readonly moduleId: string;
  readonly connectionState: string;
  readonly authentication: { readonly symmetricKey: { readonly primaryKey: string } };
}

interface TwinProperties {
  readonly desired: Readonly<Record<string, unknown>>;
  readonly reported: Readonly<Record<string, unknown>>;
}

let stage: Stage;
let connectionString: string;
beforeAll(async () => {
  stage = await openStage();
  connectionString = stage.hubConnectionString(hubA);
});
afterAll(async () => await stage?.close());

const registry = <T>(method: string, ...args: readonly unknown[]): Promise<T> =>
  stage.sdks.run<T>('registry', { connectionString, method, args });

/** A device of its own with one module. Returns the key of the module. */
async function addModule(deviceId: string, moduleId = 'filter'): Promise<string> {
  await registry('create', { deviceId });
  const created = await registry<ModuleIdentity>('addModule', { deviceId, moduleId });
  return created.authentication.symmetricKey.primaryKey;
}

const open = (deviceId: string, transport: TransportName, sharedAccessKey: string): Promise<unknown> =>
  stage.sdks.run('open', { connection: deviceId, transport, hub: hubA, deviceId, moduleId: 'filter', sharedAccessKey, noRetry: true });

/** Asks again until it is so; the clients tell nobody when something comes. */
async function eventually<T>(ask: () => Promise<T>, isSo: (answer: T) => boolean): Promise<T> {
  const patience = Date.now() + 40_000;
  for (;;) {
    const answer = await ask();
    if (isSo(answer) || Date.now() > patience) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe.each(['mqtt', 'mqtt-ws', 'amqp', 'amqp-ws'] as const)('a module over %s', (transport) => {
  const deviceId = `with-module-${transport}`;

  test('reads its twin, reports, sends, answers methods, and hears of desired properties', async () => {
    const key = await addModule(deviceId);
    await open(deviceId, transport, key);
    await stage.sdks.run<TwinProperties>('twin', { connection: deviceId });
    expect(await registry<ModuleIdentity>('getModule', deviceId, 'filter')).toMatchObject({ connectionState: 'Connected' });
    await stage.sdks.run('report', { connection: deviceId, patch: { filter: 'fine' } });
    await registry('updateModuleTwin', deviceId, 'filter', { properties: { desired: { interval: 5 } } }, '*');
    const { desired } = await eventually(
      () => stage.sdks.run<{ desired: readonly Record<string, unknown>[] }>('observed', { connection: deviceId }),
      (seen) => seen.desired.some((patch) => patch['interval'] === 5),
    );
    expect(desired.at(-1)).toMatchObject({ interval: 5 });
    const twin = await registry<{ moduleId: string; properties: TwinProperties }>('getModuleTwin', deviceId, 'filter');
    expect(twin).toMatchObject({ moduleId: 'filter', properties: { desired: { interval: 5 }, reported: { filter: 'fine' } } });

    await stage.sdks.run('send', { connection: deviceId, text: 'from-module', properties: { a: '1' } });
    await stage.sdks.run('method', { connection: deviceId, name: 'reset', status: 200 });
    const result = await stage.sdks.run('invoke', {
      connectionString,
      deviceId,
      moduleId: 'filter',
      params: { methodName: 'reset', payload: { now: true }, responseTimeoutInSeconds: 30, connectTimeoutInSeconds: 30 },
    });
    expect(result).toMatchObject({ status: 200, payload: { name: 'reset', got: { now: true } } });
    await stage.sdks.run('close', { connection: deviceId });
  });

  test('is cut when its device is disabled, and refused until it is enabled', async () => {
    const { authentication } = await registry<ModuleIdentity>('getModule', deviceId, 'filter');
    const key = authentication.symmetricKey.primaryKey;
    await open(deviceId, transport, key);
    // Over AMQP the SDK attaches no link before it has something to say.
    await stage.sdks.run('send', { connection: deviceId, text: 'here' });
    expect(await registry<ModuleIdentity>('getModule', deviceId, 'filter')).toMatchObject({ connectionState: 'Connected' });
    await registry('update', { deviceId, status: 'disabled' });
    await eventually(
      () => registry<ModuleIdentity>('getModule', deviceId, 'filter'),
      (module) => module.connectionState === 'Disconnected',
    );
    await stage.sdks.run('close', { connection: deviceId });
    const back = open(deviceId, transport, key).then(() => stage.sdks.run('send', { connection: deviceId, text: 'still here' }));
    await expect(back).rejects.toThrow(SdkFailure);
    await stage.sdks.run('close', { connection: deviceId });
    await registry('update', { deviceId, status: 'enabled' });
    await open(deviceId, transport, key);
    await stage.sdks.run('close', { connection: deviceId });
  });
});

test('modules on the command line, in the words of az', async () => {
  const run = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await muster(stage.service.data, ['iot', 'hub', ...args, '--hub-name', 'hub-a']);
    expect({ code, stderr }, args.join(' ')).toMatchObject({ code: 0 });
    return stdout;
  };
  const module = ['-d', 'by-cli', '-m', 'filter'];
  await run('device-identity', 'create', '-d', 'by-cli');
  await run('module-identity', 'create', ...module);
  expect(JSON.parse(await run('module-identity', 'list', '-d', 'by-cli'))).toMatchObject([{ moduleId: 'filter', managedBy: null }]);
  expect(JSON.parse(await run('module-identity', 'update', ...module, '--set', 'managedBy=me'))).toMatchObject({ managedBy: 'me' });
  const before = JSON.parse(await run('module-identity', 'show', ...module)) as ModuleIdentity;
  const renewed = JSON.parse(await run('module-identity', 'renew-key', ...module, '--kt', 'primary')) as ModuleIdentity;
  expect(renewed.authentication.symmetricKey.primaryKey).not.toBe(before.authentication.symmetricKey.primaryKey);
  const shown = JSON.parse(await run('module-identity', 'connection-string', 'show', ...module)) as { connectionString: string };
  expect(shown.connectionString).toContain(`;ModuleId=filter;SharedAccessKey=${renewed.authentication.symmetricKey.primaryKey}`);
  expect(await run('generate-sas-token', ...module)).toContain('by-cli%2Fmodules%2Ffilter');
  await run('module-twin', 'update', ...module, '--desired', '{"a":1}');
  expect(JSON.parse(await run('module-twin', 'show', ...module))).toMatchObject({ moduleId: 'filter', properties: { desired: { a: 1 } } });
  await run('module-identity', 'delete', ...module);

  await run('device-identity', 'create', '-d', 'edge-1', '--ee');
  await run('device-identity', 'parent', 'set', '-d', 'by-cli', '--pd', 'edge-1');
  expect(JSON.parse(await run('device-identity', 'children', 'list', '-d', 'edge-1'))).toEqual(['by-cli']);
  expect(JSON.parse(await run('device-identity', 'parent', 'show', '-d', 'by-cli'))).toMatchObject({ deviceId: 'edge-1' });
  await run('device-identity', 'children', 'remove', '-d', 'edge-1', '--remove-all');
  expect(JSON.parse(await run('device-identity', 'children', 'list', '-d', 'edge-1'))).toEqual([]);
});
