import { createServer, type AddressInfo } from 'node:net';
import { X509Certificate } from 'node:crypto';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, expect, test } from 'vitest';
import { createLocalBus } from '../../../src/bus/local.ts';
import { createHubAssignments } from '../../../src/hub/assignments.ts';
import { createHub } from '../../../src/hub/hub.ts';
import { hours, instant } from '../../../src/kernel/clock.ts';
import { createDeviceCertificate, createRootCertificate } from '../../../src/pki/issue.ts';
import { createProvisioning } from '../../../src/provisioning/provisioning.ts';
import { openSqlStore } from '../../../src/stores/sql/store.ts';
import { createMqttDoor } from '../../../src/transports/mqtt/door.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { withoutWebhooks } from '../../fixtures/no-webhooks.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';
import { settle } from './test-client.ts';

/** Both services behind one door, on sockets, with a client library that we did not write. */

const closers: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function start() {
  const clock = new FakeClock();
  const ids = new FakeIds();
  const log = new RecordingLog();
  const store = await openSqlStore({ path: ':memory:', log, clock });
  const bus = createLocalBus({ clock, log });
  const anchors = { trustedCertificates: async () => ({ anchors: [], intermediates: [] }) };
  const hub = createHub({ storage: store, bus, clock, ids, log, anchors });
  const assignments = createHubAssignments({ clock, ids, bus, log });
  const provisioning = createProvisioning({
    storage: {
      read: store.read,
      write: (work, cause) => store.write((transaction) => work({ ...transaction, hubs: assignments(transaction) }), cause),
    },
    clock,
    ids,
    log,
    requireVerifiedCa: false,
    allocation: withoutWebhooks,
  });
  await hub.hubs.create({ name: 'hub-a', hostName: 'hub-a.example' });
  const { idScope } = await provisioning.instances.create({ name: 'dps', hostName: 'dps.example' });
  await provisioning.instances.linkHub('dps', {
    hostName: 'hub-a.example',
    location: 'here',
    applyAllocationPolicy: true,
    allocationWeight: 1,
  });
  const pki = await makePki(clock, ids);
  const absent = { kind: 'absent' } as const;
  const attestation = { type: 'x509', x509: { signingCertificates: { primary: { certificate: pki.rootPem } } } };
  await provisioning.enrollmentGroups.put('dps', 'group', { body: { enrollmentGroupId: 'group', attestation }, precondition: absent });

  const door = createMqttDoor({ provisioning, hub, clock, ids, log });
  const listen = await listenOn(door, () => pki.leaf);
  closers.push(
    () => store.close(),
    listen.close,
    () => door.close(),
  );
  return { clock, log, store, hub, provisioning, idScope, pki, port: listen.port };
}

async function makePki(clock: FakeClock, ids: FakeIds) {
  const validity = {
    notBefore: instant(clock.now() - hours(1)),
    notAfter: instant(clock.now() + hours(1000)),
    keyType: 'p256',
  } as const;
  const root = await createRootCertificate({ commonName: 'root', ...validity, serialBytes: ids.bytes(16) });
  const leaf = await createDeviceCertificate({ commonName: 'sensor-1', ...validity, serialBytes: ids.bytes(16), issuer: root });
  return { rootPem: root.certificatePem, leafPem: leaf.certificatePem, leaf: new X509Certificate(leaf.certificatePem).raw };
}

/** Sockets without TLS; the client certificate is what TLS would have delivered. */
async function listenOn(door: ReturnType<typeof createMqttDoor>, certificate: () => Uint8Array) {
  const server = createServer((socket) => {
    door.accept({ stream: socket, certificates: [certificate()], serverName: undefined, remoteAddress: '127.0.0.1' }, 'mqtt');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

async function connect(port: number, username: string): Promise<MqttClient> {
  const client = await connectAsync({ host: '127.0.0.1', port, protocol: 'mqtt', clientId: 'sensor-1', username, reconnectPeriod: 0 });
  closers.push(() => void client.end(true));
  return client;
}

/** Publishes and waits for what comes back on the response topic. */
async function ask(client: MqttClient, topic: string, payload = ''): Promise<{ readonly topic: string; readonly body: any }> {
  const answered = new Promise<{ topic: string; body: unknown }>((resolve) => {
    client.once('message', (answer, body) => resolve({ topic: answer, body: body.length === 0 ? '' : JSON.parse(body.toString()) }));
  });
  await client.publishAsync(topic, payload, { qos: 1 });
  return answered;
}

async function register(service: Awaited<ReturnType<typeof start>>, idScope = service.idScope) {
  const client = await connect(service.port, `${idScope}/registrations/sensor-1/api-version=2019-03-31&ClientVersion=test`);
  await client.subscribeAsync('$dps/registrations/res/#', { qos: 1 });
  const first = await ask(client, '$dps/registrations/PUT/iotdps-register/?$rid=1', '{"registrationId":"sensor-1"}');
  if (!first.topic.startsWith('$dps/registrations/res/202/')) return first;
  const operation = first.body.operationId as string;
  const polled = await ask(client, `$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=${operation}`, ' ');
  await client.endAsync();
  return polled;
}

test('ok/a device registers, connects to its hub, reports, is cut when disabled, and is refused after', async () => {
  const service = await start();
  const registered = await register(service);
  expect(registered.topic).toBe('$dps/registrations/res/200/?$rid=2');
  expect(registered.body).toMatchObject({
    status: 'assigned',
    registrationState: { assignedHub: 'hub-a.example', deviceId: 'sensor-1', status: 'assigned', substatus: 'initialAssignment' },
  });

  const userName = 'hub-a.example/sensor-1/?api-version=2021-04-12&DeviceClientType=test';
  const device = await connect(service.port, userName);
  await device.subscribeAsync('$iothub/twin/res/#', { qos: 0 });
  expect((await ask(device, '$iothub/twin/GET/?$rid=a', ' ')).body).toEqual({ desired: { $version: 1 }, reported: { $version: 1 } });
  expect((await ask(device, '$iothub/twin/PATCH/properties/reported/?$rid=b', '{"on":true}')).topic).toBe(
    '$iothub/twin/res/204/?$rid=b&$version=2',
  );
  await device.publishAsync('devices/sensor-1/messages/events/a=1', 'hello', { qos: 1 });
  const stored = await service.store.read.telemetry.read('hub-a', { after: 0, limit: 100 });
  expect(stored.filter((row) => row.source === 'Telemetry')).toMatchObject([{ deviceId: 'sensor-1', applicationProperties: { a: '1' } }]);

  const closed = new Promise<void>((resolve) => device.once('close', () => resolve()));
  await service.hub.registry.put('hub-a', 'sensor-1', {
    body: { deviceId: 'sensor-1', status: 'disabled' },
    precondition: { kind: 'any' },
  });
  await closed;
  await expect(connect(service.port, userName)).rejects.toMatchObject({ code: 5 });
});

test('ok/shut out by a disabled entry of another id, as a result; let back in when it is deleted', async () => {
  const service = await start();
  const attestation = { type: 'x509', x509: { clientCertificates: { primary: { certificate: service.pki.leafPem } } } };
  const body = { registrationId: 'disallow-1', attestation, provisioningStatus: 'disabled' };
  await service.provisioning.individualEnrollments.put('dps', 'disallow-1', { body, precondition: { kind: 'absent' } });
  const refused = await register(service);
  expect(refused.topic).toBe('$dps/registrations/res/200/?$rid=1');
  expect(refused.body).toMatchObject({ operationId: '', status: 'disabled', registrationState: { status: 'disabled' } });
  await service.provisioning.individualEnrollments.delete('dps', 'disallow-1', { kind: 'any' });
  expect((await register(service)).body).toMatchObject({ status: 'assigned' });
});

test('refused/an unknown id scope, as an answer with 401002', async () => {
  const service = await start();
  const refused = await register(service, '0ne0000DEAD');
  expect(refused.topic).toBe('$dps/registrations/res/401/?$rid=1');
  expect(refused.body).toMatchObject({ errorCode: 401002 });
  await settle();
});
