import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSasToken } from '../../../src/access/sas-token.ts';
import { hours, plus, seconds } from '../../../src/kernel/clock.ts';
import { FakeSession, settle } from '../../fixtures/fake-session.ts';
import { hubHost, openService, type TestService } from './service.ts';

let service: TestService;
let device = '';
let serial = 0;
beforeAll(async () => (service = await openService()));
afterAll(() => service.close());
beforeEach(async () => {
  device = `d-${(serial += 1)}`;
  await service.hub.registry.put('hub-a', device, { body: { deviceId: device }, precondition: { kind: 'absent' } });
});

const tokenOf = async (id: string): Promise<string> => {
  const { primaryKey } = (await service.hub.registry.get('hub-a', id)).authentication.symmetricKey;
  return createSasToken({
    resource: `${hubHost}/devices/${id}`,
    base64Key: primaryKey ?? '',
    expiresAt: plus(service.clock.now(), hours(1)),
  });
};
const send = (text: string, systemProperties: Record<string, string> = {}, applicationProperties: Record<string, string> = {}) =>
  service.hub.cloudToDevice.send('hub-a', device, { body: Buffer.from(text), systemProperties, applicationProperties });
const asDevice = async (method: string, rest = '', headers: Record<string, string> = {}) =>
  await service.device({
    method,
    path: `/devices/${device}/messages/deviceBound${rest}${rest.includes('?') ? '&' : '?'}api-version=2019-10-01`,
    token: await tokenOf(device),
    headers: { host: hubHost, ...headers },
  });
const waiting = async () => (await service.hub.registry.get('hub-a', device)).cloudToDeviceMessageCount;

describe('receive', () => {
  test('204 when nothing waits', async () => {
    const empty = await asDevice('GET');
    expect([empty.status, empty.text]).toEqual([204, '']);
  });

  test('the body as it is, everything else in headers, the lock token as ETag', async () => {
    await send(
      'hello\0',
      {
        'message-id': 'm1',
        'correlation-id': 'c1',
        'user-id': 'u',
        to: `/devices/${device}/messages/devicebound`,
        'iothub-ack': 'full',
        'content-type': 'text/plain',
      },
      { colour: 'blue', 'with space': 'ü', 'odd()': 'x' },
    );
    const answer = await asDevice('GET');
    expect([answer.status, answer.text]).toEqual([200, 'hello\0']);
    expect(answer.headers.etag).toMatch(/^"[0-9a-f]{8}-[0-9a-f-]{27}"$/u);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'iothub-messageid': 'm1',
      'iothub-correlationid': 'c1',
      'iothub-userid': 'u',
      'iothub-to': `/devices/${device}/messages/devicebound`,
      'iothub-ack': 'full',
      'iothub-contenttype': 'text/plain',
      contenttype: 'text/plain',
      'iothub-sequencenumber': '1',
      'iothub-deliverycount': '0',
      'iothub-enqueuedtime': expect.stringMatching(/^6\/15\/2026 12:\d\d:\d\d PM$/u) as string,
      'iothub-messagelocktoken': String(answer.headers.etag).replaceAll('"', ''),
      'iothub-app-colour': 'blue',
      'iothub-app-with%20space': '%C3%BC',
      'iothub-app-odd%28%29': 'x',
    });
  });

  test.each<[string, Record<string, string>]>([
    ['?iothub-messagelocktimeout=5', {}],
    ['', { 'IoTHub-MessageLockTimeout': '5' }],
  ])('for as long as asked: %s', async (rest, headers) => {
    await send('a');
    await asDevice('GET', rest, headers);
    expect((await asDevice('GET')).status).toBe(204);
    service.clock.advance(seconds(5));
    expect((await asDevice('GET')).headers['iothub-deliverycount']).toBe('1');
  });

  test('a lock time that is none is 400, and without credentials it is 401', async () => {
    expect((await asDevice('GET', '?iothub-messagelocktimeout=soon')).headers['iothub-errorcode']).toBe('ArgumentInvalid');
    const stranger = await service.device({
      path: `/devices/${device}/messages/devicebound?api-version=2019-10-01`,
      headers: { host: hubHost },
    });
    expect(stranger.status).toBe(401);
  });
});

describe('settle', () => {
  const lock = async (): Promise<string> => String((await asDevice('GET')).headers.etag).replaceAll('"', '');

  test('DELETE completes, with reject in the query it rejects, abandon puts back', async () => {
    for (const text of ['a', 'b', 'c']) await send(text);
    expect((await asDevice('DELETE', `/${await lock()}`)).status).toBe(204);
    expect((await asDevice('DELETE', `/${await lock()}?reject`)).status).toBe(204);
    expect((await asDevice('POST', `/${await lock()}/abandon`)).status).toBe(204);
    expect(await waiting()).toBe(1);
    expect((await asDevice('GET')).text).toBe('c');
  });

  test('an unknown or ended lock is 412002', async () => {
    await send('a');
    const token = await lock();
    service.clock.advance(seconds(60));
    for (const rest of [`/${token}`, '/nonsense', `/${token}?reject=`]) {
      const refused = await asDevice('DELETE', rest);
      expect([refused.status, refused.headers['iothub-errorcode']]).toEqual([412, 'DeviceMessageLockLost']);
    }
    expect((await asDevice('POST', `/${token}/abandon`)).status).toBe(412);
    expect(await waiting()).toBe(1);
  });
});

describe('services', () => {
  test('purge needs ServiceConnect and says how many there were', async () => {
    await send('a');
    await send('b');
    const path = `/devices/${device}/commands`;
    expect((await service.hubService({ method: 'DELETE', path, keyName: 'registryReadWrite' })).status).toBe(403);
    const purged = await service.hubService({ method: 'DELETE', path, keyName: 'service' });
    expect([purged.status, purged.json]).toEqual([200, { totalMessagesPurged: 2, deviceId: device, moduleId: null }]);
    expect((await service.hubService({ method: 'DELETE', path: '/devices/nobody/commands', keyName: 'service' })).status).toBe(404);
  });

  test('feedback is fetched and settled by its lock token', async () => {
    await send('a', { 'message-id': 'm1', 'iothub-ack': 'full' });
    await service.hubService({ method: 'DELETE', path: `/devices/${device}/commands`, keyName: 'service' });
    service.clock.advance(seconds(15));
    const path = '/messages/serviceBound/feedback';
    const fetch = () => service.hubService({ path, keyName: 'service' });
    const batch = await fetch();
    expect(batch.status).toBe(200);
    expect(batch.headers['content-type']).toBe('application/vnd.microsoft.iothub.feedback.json');
    expect(batch.json).toMatchObject([{ originalMessageId: 'm1', statusCode: 'Purged', deviceId: device }]);
    const token = String(batch.headers.etag).replaceAll('"', '');
    expect((await service.hubService({ method: 'POST', path: `${path}/${token}/abandon`, keyName: 'service' })).status).toBe(204);
    const again = String((await fetch()).headers.etag).replaceAll('"', '');
    expect((await service.hubService({ method: 'DELETE', path: `${path}/${again}`, keyName: 'service' })).status).toBe(204);
    expect((await fetch()).status).toBe(204);
    expect((await service.hubService({ path, keyName: 'device' })).status).toBe(403);
  });
});

describe('methods', () => {
  const invoke = (body: object, keyName = 'service') =>
    service.hubService({
      method: 'POST',
      path: `/twins/${device}/methods`,
      body: JSON.stringify({ methodName: 'reboot', ...body }),
      keyName,
    });
  const connect = async (onCall: FakeSession['onCall']): Promise<void> => {
    const session = new FakeSession();
    session.onCall = onCall;
    const credentials = { certificates: [], sasToken: await tokenOf(device) };
    const peer = { transport: 'mqtt', remoteAddress: '::1' } as const;
    await service.hub.devicePlane.openSession(
      await service.hub.devicePlane.authenticate({ hub: 'hub-a', deviceId: device, credentials, peer }),
      session,
    );
  };

  test('200 with status and payload of the device', async () => {
    await connect((call) => Promise.resolve({ kind: 'answered', status: 207, payload: [call.payload] }));
    const answer = await invoke({ payload: { a: 1 } });
    expect([answer.status, answer.json]).toEqual([200, { status: 207, payload: [{ a: 1 }] }]);
    expect((await invoke({}, 'registryReadWrite')).status).toBe(403);
  });

  test('a device that is away: 404103, as JSON in the message, the name in the header', async () => {
    const refused = await invoke({});
    expect([refused.status, refused.headers['iothub-errorcode']]).toEqual([404, 'DeviceNotOnline']);
    expect(refused.json.ExceptionMessage).toBe('');
    expect(JSON.parse(refused.json.Message)).toEqual({
      errorCode: 404103,
      trackingId: expect.stringContaining(String(refused.headers['x-ms-request-id'])) as string,
      message: 'Timed out waiting for device to connect.',
      info: { timeout: '00:00:00' },
      timestampUtc: expect.stringMatching(/^2026-06-15T/u) as string,
    });
  });

  test('a device that says nothing: 504101 after the response time-out, however long that is', async () => {
    await connect((_call, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve({ kind: 'abandoned' }))));
    const calling = invoke({ responseTimeoutInSeconds: 300 });
    for (let turn = 0; turn < 50; turn += 1) await settle();
    service.clock.advance(seconds(300));
    const refused = await calling;
    expect([refused.status, refused.headers['iothub-errorcode']]).toEqual([504, 'GatewayTimeout']);
    expect(JSON.parse(refused.json.Message)).toMatchObject({ errorCode: 504101, info: { timeout: '00:05:00' } });
  });
});
