import type { IConnectPacket } from 'mqtt-packet';
import { onTestFinished } from 'vitest';
import { createSasToken } from '../../../src/access/sas-token.ts';
import { createLocalBus } from '../../../src/bus/local.ts';
import { createHub } from '../../../src/hub/hub.ts';
import type { TelemetryRow } from '../../../src/hub/ports.ts';
import type { Hub } from '../../../src/hub/service.ts';
import { type ByteBudget, unlimitedBytes } from '../../../src/kernel/byte-budget.ts';
import { instant } from '../../../src/kernel/clock.ts';
import { openSqlStore } from '../../../src/stores/sql/store.ts';
import { createMqttEngine } from '../../../src/transports/mqtt/engine/engine.ts';
import { refusalCode } from '../../../src/transports/mqtt/errors.ts';
import { createHubBinding } from '../../../src/transports/mqtt/hub/binding.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';
import { testLimits } from './test-binding.ts';
import { open, type TestClient } from './test-client.ts';

export const host = 'hub-a.example';
const key = Buffer.alloc(32, 7).toString('base64');

export interface HubService {
  readonly clock: FakeClock;
  readonly log: RecordingLog;
  readonly hub: Hub;
  /** Sends a message to a device, its text also as its id. */
  sendTo(deviceId: string, text: string, properties?: Readonly<Record<string, string>>): Promise<void>;
  waiting(deviceId: string): Promise<number>;
  /** What devices sent. */
  telemetry(): Promise<readonly TelemetryRow[]>;
  /** Connects a device; resolves with what CONNACK said. */
  enter(
    deviceId: string,
    options?: { readonly clean?: boolean; readonly reads?: boolean; readonly password?: string; readonly fields?: Partial<IConnectPacket> },
  ): Promise<Entered>;
  /** The same store behind a new door, as after a restart. */
  restart(): Promise<void>;
}

export interface Entered {
  readonly client: TestClient;
  readonly sessionPresent: boolean;
}

/** A hub with one device `dev` behind the MQTT engine. */
export async function startHub(budget: ByteBudget = unlimitedBytes): Promise<HubService> {
  const clock = new FakeClock();
  const ids = new FakeIds();
  const log = new RecordingLog();
  const store = await openSqlStore({ path: ':memory:', log, clock });
  const trust = { trustedCertificates: async () => ({ anchors: [], intermediates: [] }) };
  const openDoor = () => {
    const hub = createHub({ storage: store, bus: createLocalBus({ clock, log }), clock, ids, log, anchors: trust });
    const limits = { ...testLimits, unauthenticatedBytes: 16_384, subscriptions: 10, inflight: 64, outboundBytes: 1024 * 1024 };
    const binding = createHubBinding({ hub, clock, ids, log });
    return { hub, door: createMqttEngine({ bindings: [binding], budget, limits, refusalCode, clock, ids, log }) };
  };
  let opened = openDoor();
  onTestFinished(async () => {
    await opened.door.close();
    await store.close();
  });
  await opened.hub.hubs.create({ name: 'hub-a', hostName: host });
  const authentication = { type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: key } };
  await opened.hub.registry.put('hub-a', 'dev', { body: { deviceId: 'dev', authentication }, precondition: { kind: 'absent' } });
  const expiresAt = instant(Date.UTC(2026, 0, 2));

  return {
    clock,
    log,
    get hub() {
      return opened.hub;
    },
    async sendTo(deviceId, text, properties = {}) {
      await opened.hub.cloudToDevice.send('hub-a', deviceId, {
        body: Buffer.from(text),
        systemProperties: { 'message-id': text, ...properties },
        applicationProperties: {},
      });
    },
    waiting: async (deviceId) => (await opened.hub.registry.get('hub-a', deviceId)).cloudToDeviceMessageCount,
    telemetry: async () => (await store.read.telemetry.read('hub-a', { after: 0, limit: 100 })).filter((row) => row.source === 'Telemetry'),
    async enter(deviceId, { clean = false, reads = true, password, fields } = {}) {
      const client = open(opened.door, { reads });
      const token = password ?? createSasToken({ resource: `${host}/devices/${deviceId}`, base64Key: key, expiresAt });
      client.connect({
        clientId: deviceId,
        username: `${host}/${deviceId}/?api-version=2021-04-12`,
        password: Buffer.from(token),
        clean,
        ...fields,
      });
      if (!reads) return { client, sessionPresent: false };
      const connack = await client.next();
      if (connack?.cmd !== 'connack' || connack.returnCode !== 0) throw new Error(`not let in: ${JSON.stringify(connack)}`);
      return { client, sessionPresent: connack.sessionPresent };
    },
    async restart() {
      await opened.door.close();
      opened = openDoor();
    },
  };
}
