import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TransportName } from '../../src/contracts/transport.ts';
import { openStage, type Stage, hubA } from './harness/stage.ts';

/** What the device heard, by its own SDK. */
interface Heard {
  readonly messages: readonly {
    readonly text: string;
    readonly messageId: string;
    readonly properties: Readonly<Record<string, string>>;
  }[];
  readonly settlements: readonly { readonly text: string; readonly settlement: string; readonly error?: string }[];
}

interface FeedbackOf {
  readonly originalMessageId: string;
  readonly deviceId: string;
  readonly statusCode: string;
}

let stage: Stage;
let connectionString: string;
beforeAll(async () => {
  stage = await openStage();
  connectionString = stage.hubConnectionString(hubA);
  for (const transport of ['amqp', 'amqp-ws'] as const) {
    await stage.sdks.run('openService', { id: transport, connectionString, transport });
    await stage.sdks.run('followFeedback', { id: transport });
  }
});
afterAll(async () => {
  for (const id of ['amqp', 'amqp-ws']) await stage?.sdks.run('closeService', { id });
  await stage?.close();
});

async function addDevice(deviceId: string): Promise<string> {
  const created = await stage.sdks.run<{ authentication: { symmetricKey: { primaryKey: string } } }>('registry', {
    connectionString,
    method: 'create',
    args: [{ deviceId }],
  });
  return created.authentication.symmetricKey.primaryKey;
}

const open = (deviceId: string, transport: TransportName, sharedAccessKey: string): Promise<unknown> =>
  stage.sdks.run('open', { connection: deviceId, transport, hub: hubA, deviceId, sharedAccessKey });
const heard = (connection: string): Promise<Heard> => stage.sdks.run<Heard>('heard', { connection });

/** Asks again until it is so; the clients tell nobody when something comes. */
async function eventually<T>(ask: () => Promise<T>, isSo: (answer: T) => boolean): Promise<T> {
  const patience = Date.now() + 40_000;
  for (;;) {
    const answer = await ask();
    if (isSo(answer) || Date.now() > patience) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const transports: readonly TransportName[] = ['mqtt', 'mqtt-ws', 'amqp', 'amqp-ws', 'https'];
const settling = new Set<TransportName>(['amqp', 'amqp-ws', 'https']);

describe.each(transports)('over %s', (transport) => {
  const deviceId = `sdk-${transport}`;
  const sender = transport.endsWith('-ws') ? 'amqp-ws' : 'amqp';

  test('messages that waited and those that come are received in order and settled as the device says', async () => {
    const key = await addDevice(deviceId);
    const send = (text: string) =>
      stage.sdks.run('sendTo', { id: sender, deviceId, text, ack: 'full', properties: { colour: 'deep blue', sign: 'a=b&c' } });
    await send('waited');
    await open(deviceId, transport, key);
    const decide = settling.has(transport) ? { again: 'abandon', refused: 'reject' } : {};
    await stage.sdks.run('listen', { connection: deviceId, decide });
    const expected = settling.has(transport) ? 5 : 4;
    const settled = (count: number): Promise<Heard> =>
      eventually(
        () => heard(deviceId),
        (answer) => answer.settlements.length >= count,
      );
    await settled(1);
    // One by one: the SDK's AMQP library joins what is decided in one turn, under the outcome of the first.
    for (const [at, text] of ['again', 'refused', 'last'].entries()) {
      await send(text);
      await settled(at === 0 ? expected - 2 : expected - 2 + at);
    }
    const { messages, settlements } = await heard(deviceId);
    expect(settlements.filter(({ error }) => error !== undefined)).toEqual([]);
    const texts = messages.map(({ text }) => text);
    expect(texts.filter((text, at) => texts.indexOf(text) === at)).toEqual(['waited', 'again', 'refused', 'last']);
    expect(texts).toHaveLength(expected);
    // Over HTTP the SDK leaves the header's prefix where it is.
    const prefix = transport === 'https' ? 'iothub-app-' : '';
    const properties = { [`${prefix}colour`]: 'deep blue', [`${prefix}sign`]: 'a=b&c' };
    expect(messages[0]).toMatchObject({ messageId: 'id-waited', properties });
    const { cloudToDeviceMessageCount } = await eventually(
      () => stage.sdks.run<{ cloudToDeviceMessageCount: number }>('registry', { connectionString, method: 'get', args: [deviceId] }),
      (identity) => identity.cloudToDeviceMessageCount === 0,
    );
    expect(cloudToDeviceMessageCount).toBe(0);
  });

  // There are no methods over HTTPS, at Azure either.
  if (transport !== 'https') {
    test('a method is answered; one that is not answered in time is 504', async () => {
      await stage.sdks.run('method', { connection: deviceId, name: 'reboot', status: 202 });
      await stage.sdks.run('method', { connection: deviceId, name: 'sleep', silent: true });
      const params = { methodName: 'reboot', payload: { delay: [1, null] }, connectTimeoutInSeconds: 10, responseTimeoutInSeconds: 10 };
      const answer = await stage.sdks.run('invoke', { connectionString, deviceId, params });
      expect(answer).toEqual({ status: 202, payload: { name: 'reboot', got: { delay: [1, null] } } });
      const late = await stage.sdks.failure('invoke', {
        connectionString,
        deviceId,
        params: { methodName: 'sleep', responseTimeoutInSeconds: 5 },
      });
      expect(late.statusCode).toBe(504);
    });
  }

  test('the device leaves; messages wait and methods find nobody', async () => {
    await stage.sdks.run('close', { connection: deviceId });
    const away = await stage.sdks.failure('invoke', { connectionString, deviceId, params: { methodName: 'reboot' } });
    expect(away).toMatchObject({ statusCode: 404 });
    expect(JSON.stringify(away)).toContain('404103');
  });
});

test('feedback says how every message ended', async () => {
  const records = await eventually(
    async () => [
      ...(await stage.sdks.run<readonly FeedbackOf[]>('feedback', { id: 'amqp' })),
      ...(await stage.sdks.run<readonly FeedbackOf[]>('feedback', { id: 'amqp-ws' })),
    ],
    (all) => all.length >= transports.length * 4,
  );
  for (const transport of transports) {
    const own = records.filter(({ deviceId }) => deviceId === `sdk-${transport}`);
    const refused = settling.has(transport) ? 'Rejected' : 'Success';
    expect(Object.fromEntries(own.map((record) => [record.originalMessageId, record.statusCode]))).toEqual({
      'id-waited': 'Success',
      'id-again': 'Success',
      'id-refused': refused,
      'id-last': 'Success',
    });
    expect(own).toHaveLength(4);
  }
});

test('what cannot be is refused by name', async () => {
  const unknown = await stage.sdks.failure('sendTo', { id: 'amqp', deviceId: 'nobody', text: 'x' });
  expect(unknown.name).toBe('DeviceNotFoundError');
  const id = 'files';
  await stage.sdks.run('openService', { id, connectionString, transport: 'amqp' });
  const files = await stage.sdks.failure('fileNotifications', { id });
  expect(files.message).toContain('takes no file uploads');
});
