import { createLocalBus } from '../../../src/bus/local.ts';
import { createHubAssignments } from '../../../src/hub/assignments.ts';
import { createHub } from '../../../src/hub/hub.ts';
import { instant, seconds } from '../../../src/kernel/clock.ts';
import type { ProvisioningStorage } from '../../../src/provisioning/ports.ts';
import { createProvisioning, type ProvisioningDependencies } from '../../../src/provisioning/provisioning.ts';
import type { Provisioning } from '../../../src/provisioning/service.ts';
import { openSqlStore, type SqlStore } from '../../../src/stores/sql/store.ts';
import { createAmqpDoor } from '../../../src/transports/amqp/door.ts';
import { createHttpDoor } from '../../../src/transports/http/door.ts';
import { createMqttDoor } from '../../../src/transports/mqtt/door.ts';
import { duplexPair } from '../../fixtures/duplex-pair.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { withoutWebhooks } from '../../fixtures/no-webhooks.ts';
import { type Made, noon } from '../../fixtures/pki/make-certificate.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';
import { bodyOf, data, openClient } from '../amqp/client.ts';
import { ask, openLoopback } from '../http/loopback.ts';
import { open } from '../mqtt/test-client.ts';

/** The device API by the protocol it is spoken in. */
export const doors = ['https', 'mqtt', 'amqp'] as const;
export type DoorName = (typeof doors)[number];

/** What a device gets to see, whatever it came through. */
export interface Seen {
  /** The status of the answer; over AMQP, which has none, what C# reads out of the error code, and 200 for an answer. */
  readonly status: number;
  readonly retryAfter?: number;
  /** Over AMQP: the condition of the rejection. */
  readonly condition?: string;
  readonly body: any;
}

export interface Asking {
  readonly id: string;
  readonly idScope?: string;
  readonly certificates?: readonly Made[];
  readonly sasToken?: string;
  /** Of the register request, as text. */
  readonly body?: string;
  readonly operationId?: string;
  readonly remoteAddress?: string;
}

/** Both domains behind all three doors of the device API. */
export interface EveryDoor {
  readonly provisioning: Provisioning;
  readonly store: SqlStore;
  readonly clock: FakeClock;
  readonly idScope: string;
  /** Registers; with an operation id, asks for its status instead. */
  ask(door: DoorName, asking: Asking): Promise<Seen>;
  link(hostName: string, isThere?: boolean): Promise<void>;
  close(): Promise<void>;
}

export async function openEveryDoor(
  options: Partial<Pick<ProvisioningDependencies, 'quotas' | 'requireVerifiedCa' | 'pollAfterSeconds' | 'allocation'>> = {},
): Promise<EveryDoor> {
  const [clock, ids, log] = [new FakeClock(instant(noon)), new FakeIds(), new RecordingLog()];
  const store = await openSqlStore({ path: ':memory:', log, clock });
  const bus = createLocalBus({ clock, log });
  const anchors = { trustedCertificates: () => Promise.resolve({ anchors: [], intermediates: [] }) };
  const hub = createHub({ storage: store, bus, clock, ids, log, anchors });
  const assignments = createHubAssignments({ clock, ids, bus, log });
  const storage: ProvisioningStorage = {
    read: store.read,
    write: (work, cause) => store.write((transaction) => work({ ...transaction, hubs: assignments(transaction) }), cause),
  };
  const provisioning = createProvisioning({ storage, clock, ids, log, requireVerifiedCa: false, allocation: withoutWebhooks, ...options });
  const { idScope } = await provisioning.instances.create({ name: 'dps', hostName: 'localhost' });
  const deps = { provisioning, hub, clock, ids, log };
  const http = await createHttpDoor({
    ...deps,
    webSockets: { mqtt: ({ stream }) => stream.destroy(), amqp: ({ stream }) => stream.destroy() },
  });
  const mqtt = createMqttDoor(deps);
  const amqp = createAmqpDoor(deps);
  let peer = '127.0.0.1';
  const loopback = await openLoopback({ accept: (connection) => http.accept({ ...connection, remoteAddress: peer }, 'https') });

  const overHttps = async (asking: Asking): Promise<Seen> => {
    peer = asking.remoteAddress ?? '127.0.0.1';
    loopback.present((asking.certificates ?? []).map(({ der }) => der));
    const at = `/${asking.idScope ?? idScope}/registrations/${asking.id}`;
    const version = '?api-version=2021-06-01';
    const headers = { host: 'localhost', ...(asking.sasToken === undefined ? {} : { authorization: asking.sasToken }) };
    const answer = await ask(
      loopback.port,
      asking.operationId === undefined
        ? { method: 'PUT', path: `${at}/register${version}`, headers, body: asking.body ?? '{}' }
        : { path: `${at}/operations/${asking.operationId}${version}`, headers },
    );
    const retryAfter = answer.headers['retry-after'];
    return { status: answer.status, ...(retryAfter === undefined ? {} : { retryAfter: Number(retryAfter) }), body: answer.json };
  };

  const overMqtt = async (asking: Asking): Promise<Seen> => {
    const certificates = (asking.certificates ?? []).map(({ der }) => der);
    const client = open(mqtt, { certificates, remoteAddress: asking.remoteAddress ?? '127.0.0.1' });
    client.connect({
      clientId: asking.id,
      username: `${asking.idScope ?? idScope}/registrations/${asking.id}/api-version=2021-06-01`,
      ...(asking.sasToken === undefined ? {} : { password: Buffer.from(asking.sasToken) }),
    });
    await client.next();
    await client.subscribe('$dps/registrations/res/#', 1);
    client.publish(
      asking.operationId === undefined
        ? '$dps/registrations/PUT/iotdps-register/?$rid=1'
        : `$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=${asking.operationId}`,
      asking.operationId === undefined ? (asking.body ?? '{}') : ' ',
    );
    const packet = await client.next();
    if (packet?.cmd !== 'publish') throw new Error('there was no answer');
    client.stream.destroy();
    await client.closed;
    const [, status, , retryAfter] = /^\$dps\/registrations\/res\/(\d+)\/\?\$rid=1(&retry-after=(\d+))?$/u.exec(packet.topic) ?? [];
    const body = JSON.parse(packet.payload.toString());
    return { status: Number(status), ...(retryAfter === undefined ? {} : { retryAfter: Number(retryAfter) }), body };
  };

  const overAmqp = async (asking: Asking): Promise<Seen> => {
    const [ours, theirs] = duplexPair();
    const certificates = (asking.certificates ?? []).map(({ der }) => der);
    amqp.accept({ stream: ours, certificates, serverName: 'localhost', remoteAddress: asking.remoteAddress ?? '127.0.0.1' }, 'amqp');
    const address = `${asking.idScope ?? idScope}/registrations/${asking.id}`;
    const client = await openClient(theirs, asking.sasToken === undefined ? {} : { username: address, password: asking.sasToken });
    const properties = { 'com.microsoft:api-version': '2021-06-01' };
    const receiver = await client.receiver(address, { properties });
    const sender = await client.sender(address, { properties });
    const request =
      asking.operationId === undefined
        ? { application_properties: { 'iotdps-operation-type': 'iotdps-register' }, body: data(asking.body ?? '{}') }
        : {
            application_properties: { 'iotdps-operation-type': 'iotdps-get-operationstatus', 'iotdps-operation-id': asking.operationId },
            body: '',
          };
    const { outcome, error } = await client.send(sender, request);
    const message = outcome === 'accepted' ? await receiver.next() : undefined;
    client.close();
    const seen = message === undefined ? JSON.parse(error.description) : bodyOf(message);
    const delays = message?.application_properties ?? error?.info ?? {};
    expectBothSpellings(delays);
    const delay = delays['retry-after'];
    return {
      status: message === undefined ? Math.floor(seen.errorCode / 1000) : 200,
      ...(delay === undefined ? {} : { retryAfter: Number(delay) }),
      ...(message === undefined ? { condition: error.condition } : {}),
      body: seen,
    };
  };

  const over = { https: overHttps, mqtt: overMqtt, amqp: overAmqp };
  return {
    provisioning,
    store,
    clock,
    idScope,
    ask: (door, asking) => over[door](asking),
    async link(hostName, isThere = true) {
      if (isThere) await hub.hubs.create({ name: hostName.split('.')[0] ?? hostName, hostName });
      await provisioning.instances.linkHub('dps', { hostName, location: 'here', applyAllocationPolicy: true, allocationWeight: 1 });
    },
    async close() {
      const closing = Promise.all([http.close(), mqtt.close(), amqp.close()]);
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      clock.advance(seconds(10));
      await closing;
      await loopback.close();
      await store.close();
    },
  };
}

/** Node, C and Java read one spelling of the delay, C# the other (dps.md 1.6.4). */
function expectBothSpellings(delays: Readonly<Record<string, unknown>>): void {
  if (delays['retry-after'] !== delays['Retry-After']) throw new Error('the two spellings of the delay differ');
}
