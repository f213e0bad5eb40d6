import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { main, muster } from './harness/service.ts';
import { hubA, openStage, type Stage } from './harness/stage.ts';

// `muster iot device simulate`, as az has it, against a started service; the cloud's side is the genuine service SDK.

let stage: Stage;
let connectionString: string;
const running: ChildProcess[] = [];

beforeAll(async () => {
  stage = await openStage();
  connectionString = stage.hubConnectionString(hubA);
  await stage.sdks.run('openService', { id: 'cloud', connectionString, transport: 'amqp' });
  await stage.sdks.run('followFeedback', { id: 'cloud' });
});
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});
afterAll(() => stage?.close());

interface Step {
  readonly step: string;
  readonly [field: string]: unknown;
}

interface Simulated {
  readonly steps: readonly Step[];
  /** The first step of that name. */
  said(name: string): Promise<Step>;
  readonly ended: Promise<number | null>;
}

function simulate(deviceId: string, ...args: readonly string[]): Simulated {
  const argv = [main, 'iot', 'device', 'simulate', '-n', 'hub-a', '-d', deviceId, '-o', 'json', ...args];
  const child = spawn(process.execPath, argv, {
    env: { ...process.env, MUSTER_DATA: stage.service.data },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.push(child);
  const steps: Step[] = [];
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (text + chunk.toString()).split('\n');
    text = lines.pop() ?? '';
    steps.push(...lines.map((line) => JSON.parse(line) as Step));
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return {
    steps,
    ended,
    said: async (name) => {
      for (;;) {
        const found = steps.find(({ step }) => step === name);
        if (found !== undefined) return found;
        if (child.exitCode !== null) throw new Error(`the device ended without '${name}': ${JSON.stringify(steps)}`);
        await Promise.race([once(child.stdout, 'data'), ended]);
      }
    },
  };
}

const created = (deviceId: string): Promise<unknown> =>
  stage.sdks.run('registry', { connectionString, method: 'create', args: [{ deviceId }] });
const twinOf = async (deviceId: string): Promise<{ properties: { reported: object } }> =>
  await stage.sdks.run('registry', { connectionString, method: 'getTwin', args: [deviceId] });
const invoke = (deviceId: string, params: object): Promise<unknown> => stage.sdks.run('invoke', { connectionString, deviceId, params });
const feedbackOn = async (text: string): Promise<string> => {
  for (;;) {
    const records = await stage.sdks.run<{ originalMessageId: string; statusCode: string }[]>('feedback', { id: 'cloud' });
    const record = records.find(({ originalMessageId }) => originalMessageId === `id-${text}`);
    if (record !== undefined) return record.statusCode;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

test('over MQTT: messages both ways, a method, and the twin', { timeout: 60_000 }, async () => {
  await created('simulated');
  const device = simulate('simulated', '--mc', '60', '--mi', '1', '--da', 'Hi', '--irp', '{"began":true}', '-p', 'room=lab');
  expect(await device.said('connected')).toMatchObject({ transport: 'mqtt-ws' });
  expect(await device.said('reported')).toMatchObject({ patch: { began: true }, version: 2 });
  expect(await device.said('message')).toMatchObject({ number: 1, of: 60 });

  const called = await invoke('simulated', { methodName: 'reboot', payload: { delay: 5 }, responseTimeoutInSeconds: 30 });
  const { requestId } = await device.said('method');
  expect(called).toEqual({
    status: 200,
    payload: { methodName: 'reboot', methodRequestId: requestId, methodRequestPayload: { delay: 5 } },
  });

  await stage.sdks.run('sendTo', { id: 'cloud', deviceId: 'simulated', text: 'down', ack: 'full', properties: { 'the colour': 'a+b=c' } });
  expect(await device.said('cloud-message')).toMatchObject({
    message: { body: 'down', properties: { '$.mid': 'id-down', 'the colour': 'a+b=c' } },
  });
  expect(await feedbackOn('down')).toBe('Success');

  await stage.sdks.run('twinUpdate', { connectionString, deviceId: 'simulated', patch: { properties: { desired: { interval: 7 } } } });
  expect(await device.said('desired')).toMatchObject({ patch: { interval: 7 } });
  while ((await twinOf('simulated')).properties.reported === undefined || !('interval' in (await twinOf('simulated')).properties.reported));
  expect((await twinOf('simulated')).properties.reported).toMatchObject({ began: true, interval: 7 });

  await stage.sdks.run('registry', { connectionString, method: 'delete', args: ['simulated'] });
  expect(await device.ended).toBe(1);
  expect(device.steps.at(-1)).toMatchObject({ step: 'disconnected' });
});

test('what a method is answered can be chosen, and the device ends by itself', { timeout: 60_000 }, async () => {
  await created('answering');
  const device = simulate('answering', '--mc', '5', '--mi', '1', '--mrc', '201', '--mrp', '{"result":"done"}');
  await device.said('message');
  expect(await invoke('answering', { methodName: 'reboot', responseTimeoutInSeconds: 30 })).toEqual({
    status: 201,
    payload: { result: 'done' },
  });
  expect(await device.ended).toBe(0);
  expect(device.steps.at(-1)).toMatchObject({ step: 'done', messages: 5 });
});

describe('over HTTPS', () => {
  test.each([
    ['complete', 'Success'],
    ['reject', 'Rejected'],
  ])('messages are settled as told: %s', { timeout: 60_000 }, async (settlement, status) => {
    const id = `http-${settlement}`;
    await created(id);
    await stage.sdks.run('sendTo', { id: 'cloud', deviceId: id, text: id, ack: 'full' });
    const device = simulate(id, '--protocol', 'http', '--mc', '2', '--mi', '1', '--rs', settlement);
    expect(await device.said('cloud-message')).toMatchObject({ message: { data: id } });
    expect(await device.ended).toBe(0);
    expect(await feedbackOn(id)).toBe(status);
  });
});

test('a device with a certificate sends what it has', { timeout: 60_000 }, async () => {
  const leaf = await stage.pki.device('certified', stage.root);
  const { X509Certificate } = await import('node:crypto');
  const thumbprint = new X509Certificate(readFileSync(leaf.certificatePath)).fingerprint256.replaceAll(':', '');
  const authentication = { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: thumbprint, secondaryThumbprint: thumbprint } };
  await stage.sdks.run('registry', { connectionString, method: 'create', args: [{ deviceId: 'certified', authentication }] });
  const asDevice = ['-n', 'hub-a', '-d', 'certified', '--cp', leaf.certificatePath, '--kp', leaf.keyPath];
  for (const words of [
    ['send-d2c-message', '--data', 'up', '--props', '$.ct=text/plain;room=lab'],
    ['simulate', '--mc', '1', '--mi', '1'],
    ['simulate', '--mc', '1', '--mi', '1', '--protocol', 'http'],
  ])
    expect(await muster(stage.service.data, ['iot', 'device', ...words, ...asDevice])).toMatchObject({ code: 0, stderr: '' });
  const watch = 'iot hub monitor-events -n hub-a -d certified --enqueued-time 0 --message-count 3 --timeout 20 --props sys app';
  const seen = await muster(stage.service.data, [...watch.split(' '), '--only-show-errors']);
  expect(seen.code).toBe(0);
  expect(seen.stdout).toContain('"room": "lab"');
  expect(seen.stdout).toContain('Ping from Muster #1');
});
