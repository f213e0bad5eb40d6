import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { JsonObject } from '../../../src/kernel/json.ts';
import { milliseconds } from '../../../src/kernel/clock.ts';
import { ServiceError } from '../../../src/kernel/service-error.ts';
import { noRegions } from '../../../src/provisioning/allocation/regions.ts';
import type { RegisterRequest } from '../../../src/provisioning/service.ts';
import { ecKey, type Made } from '../../fixtures/pki/make-certificate.ts';
import { leaf, root } from '../../fixtures/pki/path-case.ts';
import {
  any,
  holding,
  hostOf,
  openProvisioningWorld,
  type ProvisioningWorld,
  refusalOf,
  signedBy,
} from '../../fixtures/provisioning-world.ts';
import { answers, chooses, ScriptedWebhooks } from '../../fixtures/scripted-webhooks.ts';

const top = root();
const device = leaf(top, { subject: 'dev-1' });
const url = 'https://allocate.example.org/api/pick?code=s3cret';
const masked = 'https://allocate.example.org/api/pick?****';
const custom = { allocationPolicy: 'custom', customAllocationDefinition: { webhookUrl: url, apiVersion: '2021-10-01' } };

let webhooks: ScriptedWebhooks;
let world: ProvisioningWorld;
beforeEach(async () => {
  webhooks = new ScriptedWebhooks();
  world = await openProvisioningWorld({ allocation: { webhooks, concurrentCalls: 8, queuedCalls: 40, regions: noRegions } });
  await world.link('west');
  await world.putGroup('g', { attestation: signedBy(top), ...custom });
});
afterEach(() => world.close());

const register = (made: Made, extra: Partial<RegisterRequest> = {}) =>
  world.provisioning.registrations.register({ ...world.request(made), ...extra });
const poll = async (made: Made, operationId: string, apiVersion?: string) =>
  world.provisioning.registrations.operationStatus({
    ...world.request(made),
    operationId,
    ...(apiVersion === undefined ? {} : { apiVersion }),
  });

/** Polls until the webhook has been asked and its answer was committed. */
async function outcomeOf(made: Made, operationId: string, apiVersion?: string) {
  return vi.waitFor(async () => {
    const answer = await poll(made, operationId, apiVersion);
    expect(answer.pending).toBe(false);
    return answer.body;
  }, 60_000);
}

async function provision(made: Made = device, extra: Partial<RegisterRequest> = {}) {
  const first = await register(made, extra);
  return outcomeOf(made, first.body.operationId, extra.apiVersion);
}

const decision = async (id: string) => {
  const found = await world.store.read.decisions.get(id);
  return { verdict: found?.verdict, steps: (found?.trace as { steps: JsonObject[] } | undefined)?.steps ?? [] };
};
const isOn = async (hub: string): Promise<boolean> => (await world.hub.registry.list(hub, { limit: 1 })).items.length === 1;

describe('while the webhook is asked', () => {
  beforeEach(() => webhooks.hold());

  test('polls are answered assigning, with the state that IoT Edge needs, and the record says so', async () => {
    const { body } = await register(device);
    await vi.waitFor(() => expect(webhooks.held).toBe(1));
    expect(await poll(device, body.operationId)).toEqual({
      pending: true,
      retryAfterSeconds: 2,
      body: { operationId: body.operationId, status: 'assigning', registrationState: { registrationId: 'dev-1', status: 'assigning' } },
    });
    expect(await world.provisioning.records.get('dps', 'dev-1')).toMatchObject({ status: 'assigning' });
    expect([await isOn('east'), await isOn('west')]).toEqual([false, false]);
    webhooks.release();
    expect(await outcomeOf(device, body.operationId)).toMatchObject({ status: 'assigned' });
  });

  test('a second register gets the running operation, and the webhook is asked once', async () => {
    const first = await register(device);
    const second = await register(device);
    expect(second.body.operationId).toBe(first.body.operationId);
    const { steps } = await decision(second.trackingId ?? '');
    expect(steps.at(-1)).toMatchObject({ reason: 'already-asked', sentence: expect.stringContaining(first.body.operationId) });
    webhooks.release();
    await outcomeOf(device, first.body.operationId);
    expect(webhooks.calls).toHaveLength(1);
    expect((await register(device)).body.operationId).not.toBe(first.body.operationId);
  });

  test('a poll for an operation that has ended waits for the one that came after it', async () => {
    webhooks.release();
    const first = await register(device);
    await outcomeOf(device, first.body.operationId);
    webhooks.hold();
    const second = await register(device);
    await vi.waitFor(() => expect(webhooks.held).toBe(1));
    expect(await poll(device, first.body.operationId)).toMatchObject({
      pending: true,
      body: { operationId: first.body.operationId, status: 'assigning' },
    });
    webhooks.release();
    for (const { body } of [first, second]) expect(await outcomeOf(device, body.operationId)).toMatchObject({ status: 'assigned' });
  });

  test('no more are asked at a time than configured', async () => {
    const made = ['a', 'b', 'c', 'd'].map((subject) => leaf(top, { subject }));
    const operations = await Promise.all(made.map((one) => register(one)));
    await vi.waitFor(() => expect(webhooks.held).toBe(2));
    expect(webhooks.calls).toHaveLength(2);
    webhooks.release();
    for (const [index, one] of made.entries()) {
      expect(await outcomeOf(one, operations[index]?.body.operationId ?? '')).toMatchObject({ status: 'assigned' });
    }
  });

  test.each([
    ['its group is disabled', () => world.putGroup('g', { attestation: signedBy(top), ...custom, provisioningStatus: 'disabled' }, any)],
    ['a deny holds its leaf', () => world.putIndividual('deny', { attestation: holding(device), provisioningStatus: 'disabled' })],
  ])('%s: the device is shut out whatever the webhook says', async (_, deny) => {
    const { body, trackingId } = await register(device);
    await vi.waitFor(() => expect(webhooks.held).toBe(1));
    await deny();
    webhooks.release();
    await vi.waitFor(async () => expect((await decision(trackingId ?? '')).verdict).toBe('disabled'), 60_000);
    expect(await poll(device, body.operationId)).toMatchObject({ pending: false, body: { status: 'disabled' } });
    expect([await isOn('east'), await isOn('west')]).toEqual([false, false]);
    expect(await world.provisioning.records.get('dps', 'dev-1')).toMatchObject({ status: 'disabled' });
  });

  test('its group is deleted: the poll is refused and the record has failed', async () => {
    const { body } = await register(device);
    await vi.waitFor(() => expect(webhooks.held).toBe(1));
    await world.provisioning.enrollmentGroups.delete('dps', 'g', any);
    webhooks.release();
    await vi.waitFor(
      async () => expect(await world.provisioning.records.get('dps', 'dev-1')).toMatchObject({ status: 'failed', errorCode: 401002 }),
      10_000,
    );
    expect((await refusalOf(poll(device, body.operationId))).error).toBe('DpsUnauthorized');
    expect([await isOn('east'), await isOn('west')]).toEqual([false, false]);
  });

  test('the hub that it chooses is unlinked: the registration fails', async () => {
    webhooks.answer = () => chooses(hostOf('west'));
    const { body } = await register(device);
    await vi.waitFor(() => expect(webhooks.held).toBe(1));
    await world.provisioning.instances.unlinkHub('dps', hostOf('west'));
    webhooks.release();
    expect(await outcomeOf(device, body.operationId)).toMatchObject({ status: 'failed', registrationState: { errorCode: 400207 } });
  });

  test('the enrollment gets another webhook: that one is asked, and decides', async () => {
    const { body } = await register(device);
    await vi.waitFor(() => expect(webhooks.held).toBe(1));
    const other = { webhookUrl: 'https://other.example.org/', apiVersion: '2021-10-01' };
    await world.putGroup('g', { attestation: signedBy(top), ...custom, customAllocationDefinition: other }, any);
    webhooks.answer = () => chooses(hostOf('west'));
    webhooks.release();
    expect(await outcomeOf(device, body.operationId)).toMatchObject({ registrationState: { assignedHub: hostOf('west') } });
    expect(webhooks.calls.map((call) => call.url)).toEqual([url, other.webhookUrl]);
  });

  test('the policy becomes static: that decides', async () => {
    const { body } = await register(device);
    await vi.waitFor(() => expect(webhooks.held).toBe(1));
    await world.putGroup('g', { attestation: signedBy(top), allocationPolicy: 'static', iotHubs: [hostOf('west')] }, any);
    webhooks.release();
    expect(await outcomeOf(device, body.operationId)).toMatchObject({ registrationState: { assignedHub: hostOf('west') } });
  });

  test('the service stops: the next one asks again and ends the operation, with the credentials of then', async () => {
    const { body } = await register(device, { body: { payload: { model: 'x' } } });
    await vi.waitFor(() => expect(webhooks.held).toBe(1));
    await world.provisioning.close();
    webhooks.release();
    expect(await world.store.read.registrations.getOperation('dps', body.operationId)).toMatchObject({
      request: { registrationId: 'dev-1', payload: { model: 'x' } },
    });
    const next = await world.reopen();
    expect(await next.recover()).toEqual({ finishedOperations: 0, resumedOperations: 1 });
    await vi.waitFor(async () => {
      const answer = await next.registrations.operationStatus({ ...world.request(device), operationId: body.operationId });
      expect(answer.body).toMatchObject({ status: 'assigned' });
    }, 60_000);
    expect(webhooks.calls.map((call) => call.request.deviceRuntimeContext.payload)).toEqual([{ model: 'x' }, { model: 'x' }]);
    // What was kept for going on is gone with the outcome.
    expect(await world.store.read.registrations.getOperation('dps', body.operationId)).not.toHaveProperty('request');
    await next.close();
  });
});

describe('what the webhook is asked', () => {
  test('the enrollment group without secrets, the device and the hubs that it may choose', async () => {
    await provision(device, { body: { registrationId: 'dev-1', payload: { model: 'x' } } });
    expect(webhooks.calls[0]?.url).toBe(url);
    expect(webhooks.calls[0]?.request).toEqual({
      enrollmentGroup: {
        enrollmentGroupId: 'g',
        attestation: { type: 'x509', x509: { signingCertificates: { primary: { info: expect.any(Object) } } } },
        capabilities: { iotEdge: false },
        etag: expect.stringMatching(/^".+"$/u),
        provisioningStatus: 'enabled',
        reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
        createdDateTimeUtc: expect.any(String),
        lastUpdatedDateTimeUtc: expect.any(String),
        allocationPolicy: 'custom',
        customAllocationDefinition: { webhookUrl: masked, apiVersion: '2021-10-01' },
      },
      deviceRuntimeContext: {
        registrationId: 'dev-1',
        x509: { clientCertificate: Buffer.from(device.der).toString('base64') },
        payload: { model: 'x' },
      },
      linkedHubs: [hostOf('east'), hostOf('west')],
    });
  });

  test('an individual enrollment under its own name, and only the hubs that it names', async () => {
    await world.putIndividual('dev-1', { attestation: holding(device), ...custom, iotHubs: [hostOf('west')], deviceId: 'Pump' });
    expect((await provision()).registrationState).toMatchObject({ assignedHub: hostOf('west'), deviceId: 'Pump' });
    const { request } = webhooks.calls[0] ?? {};
    expect(request?.individualEnrollment).toMatchObject({ registrationId: 'dev-1', deviceId: 'Pump', iotHubs: [hostOf('west')] });
    expect(request).not.toHaveProperty('enrollmentGroup');
    expect(request?.linkedHubs).toEqual([hostOf('west')]);
  });

  test('where the device was, once it was somewhere', async () => {
    await provision();
    await provision();
    expect(webhooks.calls[0]?.request.deviceRuntimeContext).not.toHaveProperty('currentIotHubHostName');
    expect(webhooks.calls[1]?.request.deviceRuntimeContext).toMatchObject({
      currentIotHubHostName: hostOf('east'),
      currentDeviceId: 'dev-1',
    });
  });

  test('with the policy never only the hub where the device is, and its payload reaches the device', async () => {
    await provision();
    const reprovisionPolicy = { updateHubAssignment: false, migrateDeviceData: false };
    await world.putGroup('g', { attestation: signedBy(top), ...custom, reprovisionPolicy }, any);
    webhooks.answer = ({ linkedHubs }) => chooses(linkedHubs.at(-1) ?? '', { payload: { hello: 'again' } });
    expect((await provision()).registrationState).toMatchObject({ assignedHub: hostOf('east'), payload: { hello: 'again' } });
    expect(webhooks.calls[1]?.request.linkedHubs).toEqual([hostOf('east')]);
  });

  test('nobody, when there is no hub to choose', async () => {
    await world.provisioning.instances.unlinkHub('dps', hostOf('east'));
    await world.provisioning.instances.unlinkHub('dps', hostOf('west'));
    expect(await provision()).toMatchObject({ status: 'failed', registrationState: { errorCode: 400208 } });
    expect(webhooks.calls).toEqual([]);
  });
});

describe('payloads', () => {
  test.each([
    ['an object', { a: [1, { b: null }] }],
    ['a list', [1, 2]],
    ['a number', 7],
    ['a text', 'x'],
    ['false', false],
  ])('%s of a device reaches the webhook as it is', async (_, payload) => {
    await provision(device, { body: { payload } });
    expect(webhooks.calls[0]?.request.deviceRuntimeContext.payload).toEqual(payload);
  });

  test('null is none, as Python sends it', async () => {
    await provision(device, { body: { payload: null } });
    expect(webhooks.calls[0]?.request.deviceRuntimeContext).not.toHaveProperty('payload');
  });

  test.each([
    ['too deep', JSON.parse('['.repeat(40) + ']'.repeat(40))],
    ['too deep by far', JSON.parse('['.repeat(40_000) + ']'.repeat(40_000))],
    ['too large', 'x'.repeat(65 * 1024)],
    ['with a member that no merge must meet', JSON.parse('{"a":{"__proto__":1}}')],
  ])('%s is refused before anything is written', async (_, payload) => {
    expect((await refusalOf(register(device, { body: { payload } }))).error).toBe('DpsBadRequest');
    expect((await refusalOf(world.provisioning.records.get('dps', 'dev-1'))).error).toBe('DpsRecordNotFound');
  });

  test('that of the webhook is given to the device, shown in the record, and gone with the next answer', async () => {
    webhooks.answer = () => chooses(hostOf('east'), { payload: { key: 'value' } });
    expect((await provision()).registrationState).toMatchObject({ payload: { key: 'value' } });
    expect(await world.provisioning.records.get('dps', 'dev-1')).toMatchObject({ payload: { key: 'value' } });
    webhooks.answer = () => chooses(hostOf('east'), { payload: null });
    expect((await provision()).registrationState).not.toHaveProperty('payload');
  });

  test('versions before 2019-03-31 have none, in either direction', async () => {
    webhooks.answer = () => chooses(hostOf('east'), { payload: { key: 'value' } });
    const old = await provision(device, { apiVersion: '2018-11-01', body: { payload: { model: 'x' } } });
    expect(old.registrationState).toMatchObject({ status: 'assigned' });
    expect(old.registrationState).not.toHaveProperty('payload');
    expect(webhooks.calls[0]?.request.deviceRuntimeContext).not.toHaveProperty('payload');
    const recent = await provision(device, { apiVersion: '2019-03-31', body: { payload: { model: 'x' } } });
    expect(recent.registrationState).toMatchObject({ payload: { key: 'value' } });
  });
});

describe('an answer that cannot be used ends the registration as failed', () => {
  const hub = hostOf('east');
  const failed = (reason: 'unreachable' | 'timed-out' | 'broken-off' | 'too-large') =>
    ({ kind: 'failed', reason, detail: 'Because.', elapsed: milliseconds(1) }) as const;

  test.each([
    ['status 400', answers(400, 'no'), 'Custom allocation failed with status code: 400'],
    ['status 401', answers(401, ''), 'Custom allocation failed with status code: 401'],
    ['status 500', answers(500, { iotHubHostName: hub }), 'Custom allocation failed with status code: 500'],
    ['a redirect', answers(302, { iotHubHostName: hub }), 'Custom allocation failed with status code: 302'],
    ['nothing', answers(200, ''), 'Custom allocation failed: the answer of the webhook is not valid.'],
    ['no JSON', answers(200, '<html>'), 'Custom allocation failed: the answer of the webhook is not valid.'],
    ['a list', answers(200, [hub]), 'Custom allocation failed: the answer of the webhook is not valid.'],
    ['no hub', answers(200, { payload: {} }), 'Custom allocation failed: the answer of the webhook is not valid.'],
    ['an empty hub', chooses(''), 'Custom allocation failed: the answer of the webhook is not valid.'],
    ['a number as hub', answers(200, { iotHubHostName: 7 }), 'Custom allocation failed: the answer of the webhook is not valid.'],
    [
      'a payload that Java could not read',
      chooses(hub, { payload: [1] }),
      'Custom allocation failed: the answer of the webhook is not valid.',
    ],
    [
      'tags that are no object',
      chooses(hub, { initialTwin: { tags: 1 } }),
      'Custom allocation failed: the answer of the webhook is not valid.',
    ],
    ['a stranger', chooses('elsewhere.example.org'), 'Custom allocation failed: the webhook chose an IoT hub that is not linked.'],
    ['no connection', failed('unreachable'), 'Custom allocation failed: the webhook could not be reached.'],
    ['no answer', failed('timed-out'), 'Custom allocation failed: the webhook did not answer in time.'],
    ['half an answer', failed('broken-off'), 'Custom allocation failed: the webhook broke off its answer.'],
    ['too much', failed('too-large'), 'Custom allocation failed: the answer of the webhook is too large.'],
  ])('%s', async (_, answer, errorMessage) => {
    webhooks.answer = () => answer;
    const { body, trackingId } = await register(device);
    const outcome = await outcomeOf(device, body.operationId);
    expect(outcome).toMatchObject({ status: 'failed', registrationState: { status: 'failed', errorCode: 400207, errorMessage } });
    expect(await world.provisioning.records.get('dps', 'dev-1')).toMatchObject({ status: 'failed', errorCode: 400207, errorMessage });
    expect([await isOn('east'), await isOn('west')]).toEqual([false, false]);
    const { steps } = await decision(trackingId ?? '');
    expect(steps.at(-1)).toMatchObject({ subject: 'allocation', reason: '400207', exchange: { webhookUrl: masked } });
  });

  test('and one that works later lets the device in', async () => {
    webhooks.answer = () => answers(503, '');
    expect(await provision()).toMatchObject({ status: 'failed' });
    webhooks.answer = () => chooses(hub.toUpperCase());
    expect(await provision()).toMatchObject({ status: 'assigned', registrationState: { assignedHub: hub } });
  });

  test('a hub that is linked but not there is the failure of the hub, and keeps the exchange', async () => {
    const gone = { hostName: 'gone.example.org', location: '', applyAllocationPolicy: true, allocationWeight: 1 };
    await world.provisioning.instances.linkHub('dps', gone);
    webhooks.answer = () => chooses('gone.example.org');
    const { body } = await register(device);
    expect(await outcomeOf(device, body.operationId)).toMatchObject({ registrationState: { errorCode: 400209 } });
    expect((await decision(body.operationId)).steps.at(-1)).toMatchObject({ exchange: { status: 200 } });
  });
});

test('the member names are matched without case, as Azure spells them both ways', async () => {
  webhooks.answer = () => answers(200, { iotHubHostname: hostOf('west'), InitialTwin: { tags: { from: 'webhook' } } });
  expect((await provision()).registrationState).toMatchObject({ assignedHub: hostOf('west') });
  expect((await world.hub.twins.get('west', 'dev-1')).tags).toEqual({ from: 'webhook' });
});

describe('the initial twin of the webhook', () => {
  const twin = { initialTwin: { tags: { from: 'webhook' }, properties: { desired: { rate: 9 } } } };
  const tags = async (hub: string) => (await world.hub.twins.get(hub, 'dev-1')).tags;
  const group = (more: JsonObject = {}) =>
    world.putGroup('g', { attestation: signedBy(top), ...custom, initialTwin: { tags: { from: 'group' } }, ...more }, any);

  test('wins over the one of the enrollment, which is used without it', async () => {
    await group();
    await provision();
    expect(await tags('east')).toEqual({ from: 'group' });
    webhooks.answer = () => chooses(hostOf('east'), twin);
    const other = leaf(top, { subject: 'dev-2' });
    await provision(other);
    const made = await world.hub.twins.get('east', 'dev-2');
    expect(made.tags).toEqual({ from: 'webhook' });
    expect(made.properties.desired).toMatchObject({ rate: 9 });
  });

  test.each([
    ['reset', { updateHubAssignment: true, migrateDeviceData: false }, { from: 'webhook' }],
    ['migrate', { updateHubAssignment: true, migrateDeviceData: true }, { from: 'group' }],
  ])('when the device moves under the policy %s', async (_, reprovisionPolicy, expected) => {
    await group({ reprovisionPolicy });
    await provision();
    webhooks.answer = () => chooses(hostOf('west'), twin);
    await provision();
    expect(await tags('west')).toEqual(expected);
    expect(await isOn('east')).toBe(false);
  });
});

describe('the reasons', () => {
  test('resolve by tracking id and by operation id, with the exchange, and without the key of the webhook', async () => {
    webhooks.answer = () => chooses(hostOf('west'), { payload: { a: 1 } });
    const { body, trackingId } = await register(device, { body: { payload: { model: 'x' } } });
    await outcomeOf(device, body.operationId);
    for (const id of [trackingId ?? '', body.operationId]) {
      const { verdict, steps } = await decision(id);
      expect(verdict).toBe('admit');
      expect(steps.at(-1)).toMatchObject({
        subject: 'allocation',
        reason: 'initialAssignment',
        sentence: `The webhook ${masked} chose ${hostOf('west')}.`,
        exchange: {
          webhookUrl: masked,
          elapsedMilliseconds: 7,
          status: 200,
          request: expect.stringContaining('"payload":{"model":"x"}'),
          response: `{"iotHubHostName":"${hostOf('west')}","payload":{"a":1}}`,
        },
      });
    }
    expect(JSON.stringify([await decision(body.operationId), world.log.events])).not.toContain('s3cret');
    expect(webhooks.calls[0]?.trackingId).toBe(trackingId);
  });

  test('cut what is long', async () => {
    webhooks.answer = () => answers(500, 'x'.repeat(100_000));
    const { body } = await register(device);
    await outcomeOf(device, body.operationId);
    expect(JSON.stringify(await decision(body.operationId)).length).toBeLessThan(10_000);
  });
});

describe('the URL of a webhook', () => {
  const shown = async () => (await world.provisioning.enrollmentGroups.get('dps', 'g')).customAllocationDefinition?.webhookUrl;
  const put = (webhookUrl: string) =>
    world.putGroup(
      'g',
      { attestation: signedBy(top), ...custom, customAllocationDefinition: { webhookUrl, apiVersion: '2021-10-01' } },
      any,
    );

  test('is shown with a masked query, and whole to whoever puts it', async () => {
    expect((await put(url)).customAllocationDefinition?.webhookUrl).toBe(url);
    expect(await shown()).toBe(masked);
    const { items } = await world.provisioning.enrollmentGroups.list('dps', { limit: 10 });
    expect(items[0]?.customAllocationDefinition?.webhookUrl).toBe(masked);
  });

  test('that comes back masked stays what it is', async () => {
    await put(masked);
    await provision();
    expect(webhooks.calls[0]?.url).toBe(url);
  });

  test.each(['https://elsewhere.example.org/?****', 'https://allocate.example.org/other?****', 'ftp://x/', 'https://me:pw@x/', 'nonsense'])(
    '%s is refused',
    async (webhookUrl) => {
      expect((await refusalOf(put(webhookUrl))).error).toBe('DpsBadRequest');
    },
  );
});

describe('a webhook that does not answer', () => {
  const other = root({ subject: 'Other' });
  const dead = (n: number) => leaf(top, { subject: `dead-${n}` });
  beforeEach(async () => {
    const customAllocationDefinition = { webhookUrl: 'https://alive.example.org/pick', apiVersion: '2021-10-01' };
    await world.putGroup('alive', { attestation: signedBy(other), ...custom, customAllocationDefinition });
    webhooks.hold((asked) => asked === url);
  });

  test('keeps no device waiting that asks another one', async () => {
    for (let n = 0; n < 9; n += 1) await register(dead(n));
    expect(await provision(leaf(other, { subject: 'lively' }))).toMatchObject({ status: 'assigned' });
    expect(webhooks.held).toBe(2);
  });

  test('fills its own line only: its devices are told to come later, and leave nothing behind', async () => {
    for (let n = 0; n < 10; n += 1) await register(dead(n));
    const refusal = await refusalOf(register(dead(10)));
    expect([refusal.error, refusal.retryAfterSeconds]).toEqual(['ServerBusy', 10]);
    expect((await refusalOf(world.provisioning.records.get('dps', 'dead-10'))).error).toBe('DpsRecordNotFound');
    expect(await provision(leaf(other, { subject: 'lively' }))).toMatchObject({ status: 'assigned' });
    webhooks.release();
    await vi.waitFor(
      async () => expect(await world.provisioning.records.get('dps', 'dead-9')).toMatchObject({ status: 'assigned' }),
      60_000,
    );
    expect(await provision(dead(10))).toMatchObject({ status: 'assigned' });
  });

  test('waits in a line of its own after a restart, too', async () => {
    for (let n = 0; n < 9; n += 1) await register(dead(n));
    webhooks.hold();
    const waiting = await register(leaf(other, { subject: 'lively' }));
    await world.provisioning.close();
    webhooks.hold((asked) => asked === url);
    const next = await world.reopen();
    expect(await next.recover()).toMatchObject({ resumedOperations: 10 });
    await vi.waitFor(async () => {
      const operation = await world.store.read.registrations.getOperation('dps', waiting.body.operationId);
      expect(operation?.outcome).toBe('done');
    }, 60_000);
    expect(webhooks.held).toBe(2);
    await next.close();
  });
});

describe('an operation that cannot be ended', () => {
  const failedAs = async (operationId: string, errorCode: number) => {
    await vi.waitFor(
      async () => expect(await world.provisioning.records.get('dps', 'dev-1')).toMatchObject({ status: 'failed', errorCode }),
      60_000,
    );
    expect(await poll(device, operationId)).toMatchObject({ pending: false, body: { status: 'failed', registrationState: { errorCode } } });
    expect(await world.store.read.registrations.getOperation('dps', operationId)).not.toHaveProperty('request');
    expect((await decision(operationId)).steps.at(-1)).toMatchObject({
      subject: 'allocation',
      outcome: 'decided',
      reason: String(errorCode),
    });
  };
  const spoil = (error: Error) => {
    webhooks.answer = () => {
      throw error;
    };
  };
  /** Lets its pauses pass, until it has been asked so often. */
  const asked = async (times: number) =>
    vi.waitFor(
      () => {
        if (webhooks.calls.length < times) world.clock.advance(milliseconds(1000));
        expect(webhooks.calls).toHaveLength(times);
      },
      { timeout: 60_000, interval: 1 },
    );

  test('since its enrollment changes whenever it is asked: it has failed, and the device may come again', async () => {
    webhooks.answer = () => chooses(hostOf('east'));
    let [changes, changing] = [0, true];
    const change = async () => {
      changes += 1;
      const customAllocationDefinition = { webhookUrl: `${url}${changes}`, apiVersion: '2021-10-01' };
      await world.putGroup('g', { attestation: signedBy(top), ...custom, customAllocationDefinition }, any);
    };
    const call = webhooks.call.bind(webhooks);
    webhooks.call = async (asking) => {
      const result = await call(asking);
      if (changing) await change();
      return result;
    };
    const { body } = await register(device);
    await failedAs(body.operationId, 409203);
    expect(changes).toBe(3);
    changing = false;
    expect(await provision()).toMatchObject({ status: 'assigned' });
  });

  test('for a reason that stays: it has failed at once', async () => {
    spoil(new ServiceError('DpsForbidden', 'Not here.'));
    const { body } = await register(device);
    await failedAs(body.operationId, 403002);
    expect(webhooks.calls).toHaveLength(1);
  });

  test.each([
    ['a busy store', new ServiceError('ServerBusy', 'Busy.')],
    ['a bug', new Error('unexpected')],
  ])('because of %s: it pauses without keeping its place, and goes on', async (_, error) => {
    const made = [0, 1, 2].map((n) => leaf(top, { subject: `spoilt-${n}` }));
    spoil(error);
    for (const one of made) await register(one);
    // Two at a time: the third is asked although the first two have not ended.
    await vi.waitFor(() => expect(webhooks.calls).toHaveLength(3));
    webhooks.answer = ({ linkedHubs }) => chooses(linkedHubs[0] ?? '');
    expect(await provision()).toMatchObject({ status: 'assigned' });
    await asked(7);
    for (const n of [0, 1, 2]) {
      await vi.waitFor(
        async () => expect(await world.provisioning.records.get('dps', `spoilt-${n}`)).toMatchObject({ status: 'assigned' }),
        60_000,
      );
    }
  });

  test('because of a bug that stays: it has failed after ten attempts, with growing pauses', async () => {
    spoil(new Error('unexpected'));
    const began = world.clock.now();
    const { body } = await register(device);
    await asked(10);
    await failedAs(body.operationId, 500001);
    expect(world.clock.now() - began).toBeGreaterThanOrEqual(302_000);
    expect(JSON.stringify(await decision(body.operationId))).not.toContain('unexpected');
  });

  test('and a stop in between: the next start goes on', async () => {
    spoil(new ServiceError('ServerBusy', 'Busy.'));
    const { body } = await register(device);
    await vi.waitFor(() => expect(webhooks.calls).toHaveLength(1));
    await world.provisioning.close();
    webhooks.answer = ({ linkedHubs }) => chooses(linkedHubs[0] ?? '');
    const next = await world.reopen();
    expect(await next.recover()).toMatchObject({ resumedOperations: 1 });
    await vi.waitFor(async () => {
      const operation = await world.store.read.registrations.getOperation('dps', body.operationId);
      expect(operation?.outcome).toBe('done');
    }, 60_000);
    await next.close();
  });
});

test('a storm of one device asks once and leaves one identity and one record', async () => {
  const answersOf = await Promise.all(Array.from({ length: 50 }, () => register(device)));
  expect(new Set(answersOf.map(({ body }) => body.status))).toEqual(new Set(['assigning']));
  const operations = [...new Set(answersOf.map(({ body }) => body.operationId))];
  for (const operationId of operations) await outcomeOf(device, operationId);
  expect((await world.hub.registry.list('east', { limit: 10 })).items).toHaveLength(1);
  expect((await world.provisioning.records.listByGroup('dps', 'g', { limit: 10 })).items).toHaveLength(1);
});

test('a renewed certificate is what the hub knows afterwards', async () => {
  await provision();
  const renewed = leaf(top, { subject: 'dev-1', key: ecKey() });
  await provision(renewed);
  const { authentication } = await world.hub.registry.get('east', 'dev-1');
  expect(authentication.x509Thumbprint.primaryThumbprint).toBe(renewed.certificate.sha256);
});
