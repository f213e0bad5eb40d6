import { beforeEach, describe, expect, test } from 'vitest';
import { limits } from '../../../../src/contracts/limits.ts';
import { createPendingCalls, readMethodAnswer } from '../../../../src/hub/methods/pending-calls.ts';
import type { MethodCall, MethodOutcome } from '../../../../src/hub/ports.ts';
import type { DeviceGrant } from '../../../../src/hub/service.ts';
import { seconds } from '../../../../src/kernel/clock.ts';
import type { JsonObject } from '../../../../src/kernel/json.ts';
import { FakeSession, settle } from '../../../fixtures/fake-session.ts';
import { type HubWorld, openHubWorld, refusal } from '../../../fixtures/hub-world.ts';

let world: HubWorld;
let grant: DeviceGrant;

beforeEach(async () => {
  world = await openHubWorld();
  await world.create('d1');
  grant = await world.grant('d1');
  return () => world.close();
});

const invoke = (body: JsonObject = {}, deviceId = 'd1') => world.hub.methods.invoke('HUB', deviceId, { methodName: 'reboot', ...body });
const answering = (outcome: MethodOutcome) => () => Promise.resolve(outcome);

async function rest(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await settle();
}

/** A session of the device that takes calls, or will. */
async function connect(onCall?: FakeSession['onCall']): Promise<FakeSession> {
  const session = new FakeSession();
  session.onCall = onCall;
  await world.hub.devicePlane.openSession(grant, session);
  return session;
}

/** Waits for the signal, as sessions do whose device says nothing. */
const silent = (_call: MethodCall, signal: AbortSignal): Promise<MethodOutcome> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve({ kind: 'abandoned' })));

describe('invoke', () => {
  test('the device gets name and payload, the caller its status and payload', async () => {
    const calls: MethodCall[] = [];
    await connect((call) => {
      calls.push(call);
      return Promise.resolve({ kind: 'answered', status: 202, payload: { at: [1] } });
    });
    expect(await invoke({ payload: { delay: 3 } })).toEqual({ status: 202, payload: { at: [1] } });
    await invoke();
    expect(calls).toEqual([
      { name: 'reboot', payload: { delay: 3 } },
      { name: 'reboot', payload: null },
    ]);
  });

  test('a device that is away is not waited for unless asked', async () => {
    await expect(invoke()).rejects.toMatchObject({ ...refusal('DeviceNotOnline'), info: { timeout: '00:00:00' } });
    await connect();
    await expect(invoke()).rejects.toMatchObject(refusal('DeviceNotOnline'));
  });

  test('a device that comes within the connect time-out is called', async () => {
    const calling = invoke({ connectTimeoutInSeconds: 60 });
    await rest();
    const session = await connect();
    await rest();
    session.onCall = answering({ kind: 'answered', status: 200, payload: null });
    world.clock.advance(seconds(59));
    world.hub.devicePlane.takesMethods(grant);
    expect(await calling).toEqual({ status: 200, payload: null });
  });

  test('one that does not is refused when the connect time-out is over', async () => {
    const calling = expect(invoke({ connectTimeoutInSeconds: 60 })).rejects.toMatchObject({
      ...refusal('DeviceNotOnline', 'Timed out waiting for device to connect.'),
      info: { timeout: '00:01:00' },
    });
    await rest();
    world.clock.advance(seconds(60));
    await calling;
  });

  test('the response time-out begins when the device has the call', async () => {
    await connect(silent);
    const calling = expect(invoke({ responseTimeoutInSeconds: 5, connectTimeoutInSeconds: 300 })).rejects.toMatchObject({
      ...refusal('GatewayTimeout'),
      info: { timeout: '00:00:05' },
    });
    await rest();
    world.clock.advance(seconds(5));
    await calling;
    expect(world.clock.pending).toBeLessThanOrEqual(1);
  });

  test('thirty seconds when nothing is said', async () => {
    await connect(silent);
    let over = false;
    const calling = expect(invoke().finally(() => (over = true))).rejects.toMatchObject(refusal('GatewayTimeout'));
    await rest();
    world.clock.advance(seconds(29));
    await rest();
    expect(over).toBe(false);
    world.clock.advance(seconds(1));
    await calling;
  });

  test.each([
    [{ kind: 'connection-lost' }, 'DeviceConnectionClosedRemotely'],
    [{ kind: 'refused', reason: 'too-many' }, 'DeviceMaximumInflightMethodExceeded'],
    [{ kind: 'refused', reason: 'not-json' }, 'IotHubFormatError'],
    [{ kind: 'refused', reason: 'too-large' }, 'MessageTooLarge'],
  ] as const)('%o is %s, and is not tried again', async (outcome, error) => {
    let calls = 0;
    await connect(() => {
      calls += 1;
      return Promise.resolve(outcome);
    });
    await expect(invoke({ connectTimeoutInSeconds: 60 })).rejects.toMatchObject(refusal(error));
    expect(calls).toBe(1);
  });

  test('an unknown device is not found', async () => {
    await expect(invoke({}, 'D1')).rejects.toMatchObject(refusal('DeviceNotFound'));
  });

  test.each([
    [{ methodName: '' }, 'methodName'],
    [{ methodName: 7 }, 'methodName'],
    [{ methodName: 'x'.repeat(129) }, 'methodName'],
    [{ responseTimeoutInSeconds: 4 }, 'responseTimeoutInSeconds'],
    [{ responseTimeoutInSeconds: 301 }, 'responseTimeoutInSeconds'],
    [{ responseTimeoutInSeconds: '30' }, 'responseTimeoutInSeconds'],
    [{ connectTimeoutInSeconds: -1 }, 'connectTimeoutInSeconds'],
    [{ connectTimeoutInSeconds: 301 }, 'connectTimeoutInSeconds'],
  ])('%o is refused', async (body, field) => {
    await expect(invoke(body)).rejects.toMatchObject(refusal('ArgumentInvalid', field));
  });

  test('a payload of 128 KB is the largest', async () => {
    await connect(answering({ kind: 'answered', status: 200, payload: null }));
    await invoke({ payload: 'x'.repeat(limits.methodBytes - 2) });
    await expect(invoke({ payload: 'x'.repeat(limits.methodBytes - 1) })).rejects.toMatchObject(refusal('MessageTooLarge'));
  });
});

describe('pending calls', () => {
  const never = new AbortController().signal;
  const open = () => {
    let last = 0;
    const handed: string[] = [];
    const calls = createPendingCalls(() => String((last += 1)));
    return { calls, handed, begin: (signal = never) => calls.begin(signal, (id) => handed.push(id)) };
  };

  test('answers find their call, once', async () => {
    const { calls, begin } = open();
    const [first, second] = [begin(), begin()];
    expect(calls.answer('2', { kind: 'answered', status: 2, payload: null })).toBe(true);
    expect(calls.answer('1', { kind: 'answered', status: 1, payload: null })).toBe(true);
    expect(await first).toMatchObject({ status: 1 });
    expect(await second).toMatchObject({ status: 2 });
    expect(calls.answer('1', { kind: 'answered', status: 1, payload: null })).toBe(false);
  });

  test('no more than a bound wait at a time; one that ends makes room', async () => {
    const { calls, handed, begin } = open();
    const waiting = Array.from({ length: limits.methodsInflight }, () => begin());
    expect(await begin()).toEqual({ kind: 'refused', reason: 'too-many' });
    calls.answer('1', { kind: 'answered', status: 200, payload: null });
    await waiting[0];
    void begin();
    expect(handed).toHaveLength(limits.methodsInflight + 1);
  });

  test('the signal abandons a call, and its late answer is nobody’s', async () => {
    const { calls, begin } = open();
    const aborter = new AbortController();
    const call = begin(aborter.signal);
    aborter.abort();
    expect(await call).toEqual({ kind: 'abandoned' });
    expect(calls.answer('1', { kind: 'answered', status: 200, payload: null })).toBe(false);
  });

  test('the end of the session ends every call, and later ones at once', async () => {
    const { calls, begin } = open();
    const call = begin();
    calls.end();
    expect(await call).toEqual({ kind: 'connection-lost' });
    expect(await begin()).toEqual({ kind: 'connection-lost' });
  });

  test.each([
    ['{"a":1}', { kind: 'answered', status: 7, payload: { a: 1 } }],
    ['', { kind: 'answered', status: 7, payload: null }],
    [' ', { kind: 'answered', status: 7, payload: null }],
    ['oops', { kind: 'refused', reason: 'not-json' }],
    ['1'.repeat(limits.methodBytes + 1), { kind: 'refused', reason: 'too-large' }],
  ])('the answer %.10j', (text, outcome) => {
    expect(readMethodAnswer(7, Buffer.from(text))).toEqual(outcome);
  });
});
