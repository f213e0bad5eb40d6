import type { Duplex } from 'node:stream';
import { createSasToken } from '../../../src/access/sas-token.ts';
import { createLocalBus } from '../../../src/bus/local.ts';
import { createHubAssignments } from '../../../src/hub/assignments.ts';
import { createHub } from '../../../src/hub/hub.ts';
import type { Hub } from '../../../src/hub/service.ts';
import { type ByteBudget, unlimitedBytes } from '../../../src/kernel/byte-budget.ts';
import { hours, type Instant, instant, plus, seconds } from '../../../src/kernel/clock.ts';
import type { Json } from '../../../src/kernel/json.ts';
import { createProvisioning, type ProvisioningDependencies } from '../../../src/provisioning/provisioning.ts';
import type { Provisioning } from '../../../src/provisioning/service.ts';
import { openSqlStore, type SqlStore } from '../../../src/stores/sql/store.ts';
import type { Door } from '../../../src/transports/connection.ts';
import { createAmqpDoor } from '../../../src/transports/amqp/door.ts';
import { duplexPair } from '../../fixtures/duplex-pair.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { withoutWebhooks } from '../../fixtures/no-webhooks.ts';
import { ecKey, make, type Made, noon } from '../../fixtures/pki/make-certificate.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';

export const hubHost = 'hub-a.azure-devices.localhost';
export const deviceKey = Buffer.from('the key of a device').toString('base64');
export const root = make({ subject: 'Test Root', key: ecKey(), ca: true });
export const leafOf = (subject: string): Made => make({ subject, key: ecKey(), issuer: root });

const absent = { kind: 'absent' } as const;

/** Both domains over a store in memory, behind the AMQP door. */
export interface TestService {
  readonly provisioning: Provisioning;
  readonly hub: Hub;
  readonly store: SqlStore;
  readonly clock: FakeClock;
  readonly log: RecordingLog;
  readonly door: Door<'amqp' | 'amqp-ws'>;
  readonly idScope: string;
  /** The client's end of a connection that the door accepted. */
  dial(peer?: { readonly certificate?: Made; readonly serverName?: string }): Duplex;
  /** Creates a device; with a certificate it is known by its thumbprint, else by `deviceKey`. */
  addDevice(deviceId: string, certificate?: Made): Promise<void>;
  setStatus(deviceId: string, status: 'enabled' | 'disabled'): Promise<void>;
  /** Signed by the device's key, or by a policy of the hub, unless with another key. */
  token(resource: string, grant?: { readonly keyName?: string; readonly expiresAt?: Instant; readonly key?: string }): Promise<string>;
  close(): Promise<void>;
}

export interface ServiceOptions extends Pick<ProvisioningDependencies, 'retryHint'> {
  readonly budget?: ByteBudget;
}

export async function openService({ budget = unlimitedBytes, retryHint }: ServiceOptions = {}): Promise<TestService> {
  const clock = new FakeClock(instant(noon));
  const ids = new FakeIds();
  const log = new RecordingLog();
  const store = await openSqlStore({ path: ':memory:', log, clock });
  const bus = createLocalBus({ clock, log });
  const anchors = { trustedCertificates: () => Promise.resolve({ anchors: [], intermediates: [] }) };
  const hub = createHub({ storage: store, bus, clock, ids, log, anchors });
  const assignments = createHubAssignments({ clock, ids, bus, log });
  const provisioning = createProvisioning({
    storage: {
      read: store.read,
      write: (work, cause) => store.write((transaction) => work({ ...transaction, hubs: assignments(transaction) }), cause),
    },
    ...(retryHint === undefined ? {} : { retryHint }),
    clock,
    ids,
    log,
    requireVerifiedCa: false,
    allocation: withoutWebhooks,
  });
  const instance = await provisioning.instances.create({ name: 'dps-a', hostName: 'localhost' });
  await hub.hubs.create({ name: 'hub-a', hostName: hubHost });
  await provisioning.instances.linkHub('dps-a', { hostName: hubHost, location: 'local', applyAllocationPolicy: true, allocationWeight: 1 });
  const attestation = { type: 'x509', x509: { signingCertificates: { primary: { certificate: root.der.toString('base64') } } } };
  await provisioning.enrollmentGroups.put('dps-a', 'group', { body: { enrollmentGroupId: 'group', attestation }, precondition: absent });
  const door = createAmqpDoor({ provisioning, hub, budget, clock, ids, log });

  return {
    provisioning,
    hub,
    store,
    clock,
    log,
    door,
    idScope: instance.idScope,
    dial({ certificate, serverName } = {}) {
      const [ours, theirs] = duplexPair();
      const certificates = certificate === undefined ? [] : [certificate.der];
      door.accept({ stream: ours, certificates, serverName, remoteAddress: '127.0.0.1' }, 'amqp');
      return theirs;
    },
    async addDevice(deviceId, certificate) {
      const authentication: Json =
        certificate === undefined
          ? { type: 'sas', symmetricKey: { primaryKey: deviceKey, secondaryKey: deviceKey } }
          : { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: certificate.certificate.sha256, secondaryThumbprint: null } };
      await hub.registry.put('hub-a', deviceId, { body: { deviceId, authentication }, precondition: absent });
    },
    async setStatus(deviceId, status) {
      const identity = await hub.registry.get('hub-a', deviceId);
      const body = { deviceId, status, authentication: identity.authentication } as unknown as Json;
      await hub.registry.put('hub-a', deviceId, { body, precondition: { kind: 'any' } });
    },
    async token(resource, { keyName, expiresAt = plus(clock.now(), hours(1)), key } = {}) {
      const policy = (await hub.hubs.policies('hub-a')).find((candidate) => candidate.keyName === keyName);
      const base64Key = key ?? (keyName === undefined ? deviceKey : (policy?.primaryKey ?? ''));
      return createSasToken({ resource, base64Key, expiresAt, ...(keyName === undefined ? {} : { keyName }) });
    },
    async close() {
      const closing = door.close();
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      clock.advance(seconds(10));
      await closing;
      await store.close();
    },
  };
}
