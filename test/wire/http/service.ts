import { createSasToken } from '../../../src/access/sas-token.ts';
import { createAuditKeys } from '../../../src/audit/audit-keys.ts';
import { type AuditTrail, createAuditTrail } from '../../../src/audit/trail.ts';
import { createLocalBus } from '../../../src/bus/local.ts';
import { armed } from '../../../src/composition/events.ts';
import { createHubTrust } from '../../../src/composition/hub-trust.ts';
import { createEventList } from '../../../src/events/event-list.ts';
import { createFleet } from '../../../src/fleet/fleet.ts';
import type { Fleet } from '../../../src/fleet/service.ts';
import type { Within } from '../../../src/fleet/what-if/stage.ts';
import { createHubAssignments } from '../../../src/hub/assignments.ts';
import { createHub } from '../../../src/hub/hub.ts';
import type { Hub } from '../../../src/hub/service.ts';
import { hours, instant, plus, seconds } from '../../../src/kernel/clock.ts';
import { createOperators } from '../../../src/operators/operators.ts';
import { createProvisioning, type ProvisioningDependencies } from '../../../src/provisioning/provisioning.ts';
import type { Provisioning } from '../../../src/provisioning/service.ts';
import { createRefusalFeed } from '../../../src/refusals/refusal-feed.ts';
import { openSqlStore, type SqlStore } from '../../../src/stores/sql/store.ts';
import { createApiDoor, createHttpDoor } from '../../../src/transports/http/door.ts';
import type { Route } from '../../../src/transports/http/engine/route.ts';
import { createMusterRoutes } from '../../../src/transports/http/muster/api-routes.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { withoutWebhooks } from '../../fixtures/no-webhooks.ts';
import { ecKey, make, type Made, noon } from '../../fixtures/pki/make-certificate.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';
import { ask, openLoopback, type Answer, type Asked, type Loopback } from './loopback.ts';

export const apiToken = 'a-token-of-the-data-folder';
export const hubHost = 'hub-a.azure-devices.localhost';

/** Both domains over a store in memory, behind the two HTTP doors. */
export interface TestService {
  readonly provisioning: Provisioning;
  readonly hub: Hub;
  readonly audit: AuditTrail;
  readonly store: SqlStore;
  /** Those of Muster's own API. */
  readonly routes: readonly Route[];
  readonly clock: FakeClock;
  readonly log: RecordingLog;
  readonly https: Loopback;
  readonly api: Loopback;
  readonly idScope: string;
  /** How often the names of the service changed. */
  readonly renamed: () => number;
  /** How often its keys did. */
  readonly rekeyed: () => number;
  /** With a policy of the provisioning service (its owner's unless told otherwise) and an api-version. */
  dps(asked: Asked & { readonly keyName?: string }): Promise<Answer>;
  /** The same with a policy of the hub. */
  hubService(asked: Asked & { readonly keyName?: string; readonly resource?: string }): Promise<Answer>;
  /** As a device does: a certificate or a token, or neither. */
  device(asked: Asked & { readonly certificate?: Made; readonly token?: string }): Promise<Answer>;
  /** Muster's own API, with its token. */
  muster(asked: Asked): Promise<Answer>;
  close(): Promise<void>;
}

export const root = make({ subject: 'Test Root', key: ecKey(), ca: true });
export const leafOf = (subject: string, issuer: Made = root): Made => make({ subject, key: ecKey(), issuer });

const json = (asked: Asked): Record<string, string> =>
  asked.body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' };

const withVersion = (path: string, version: string): string =>
  path.includes('api-version') ? path : `${path}${path.includes('?') ? '&' : '?'}api-version=${version}`;

export interface ServiceOptions {
  readonly allocation?: (clock: FakeClock) => ProvisioningDependencies['allocation'];
}

export async function openService({ allocation = () => withoutWebhooks }: ServiceOptions = {}): Promise<TestService> {
  const clock = new FakeClock(instant(noon));
  const ids = new FakeIds();
  const log = new RecordingLog();
  const auditKeys = createAuditKeys(Buffer.alloc(32, 1));
  const store = await openSqlStore({ path: ':memory:', log, clock, auditKeys });
  const refusals = createRefusalFeed({ refusals: store.read.refusals });
  const onRefusal = (): void => refusals.ring();
  const audit = createAuditTrail({ storage: store, keys: auditKeys });
  const bus = createLocalBus({ clock, log });
  const watched = armed(store, () => {});
  const hub = createHub({
    storage: watched,
    bus,
    clock,
    ids,
    log,
    anchors: { trustedCertificates: () => Promise.resolve({ anchors: [], intermediates: [] }) },
    onRefusal,
  });
  const assignments = createHubAssignments({ clock, ids, bus, log });
  const within: Within = {
    provisioning: (transaction) => ({ ...transaction, hubs: assignments(transaction) }),
    hubTrust: createHubTrust,
  };
  const provisioning = createProvisioning({
    storage: {
      read: store.read,
      write: (work, cause) => watched.write((transaction) => work(within.provisioning(transaction)), cause),
    },
    clock,
    ids,
    log,
    requireVerifiedCa: false,
    allocation: allocation(clock),
    onRefusal,
    retryHint: (...asked) => fleet.tripwires.retryHint(...asked),
  });
  const fleet: Fleet = createFleet({ storage: watched, provisioning, within, hub, bus, clock, ids, log });
  await provisioning.recover();
  const instance = await provisioning.instances.create({ name: 'dps-a', hostName: 'localhost' });
  await hub.hubs.create({ name: 'hub-a', hostName: hubHost });
  await provisioning.instances.linkHub('dps-a', { hostName: hubHost, location: 'local', applyAllocationPolicy: true, allocationWeight: 1 });

  let renamed = 0;
  let rekeyed = 0;
  const deps = { provisioning, hub, clock, ids, log };
  const httpDoor = await createHttpDoor({
    ...deps,
    webSockets: { mqtt: ({ stream }) => stream.destroy(), amqp: ({ stream }) => stream.destroy() },
  });
  const apiDeps = {
    ...deps,
    decisions: store.read.decisions,
    fleet,
    operators: createOperators({ storage: store, ownerToken: apiToken, clock, ids, log }),
    audit,
    refusals,
    events: createEventList({ events: store.read.events }),
    defaultHostName: (kind: 'dps' | 'hub', name: string) => `${name}.${kind}.localhost`,
    onNamesChanged: async () => void (renamed += 1),
    onKeysChanged: async () => void (rekeyed += 1),
  };
  const apiDoor = await createApiDoor(apiDeps);
  const https = await openLoopback({ accept: (connection) => httpDoor.accept(connection, 'https') });
  const api = await openLoopback({ accept: (connection) => apiDoor.accept(connection, 'https') });

  const token = (resource: string, policy: { readonly keyName: string; readonly primaryKey: string } | undefined): string => {
    if (policy === undefined) throw new Error('there is no such policy');
    return createSasToken({ resource, base64Key: policy.primaryKey, expiresAt: plus(clock.now(), hours(1)), keyName: policy.keyName });
  };

  return {
    provisioning,
    hub,
    audit,
    store,
    routes: createMusterRoutes(apiDeps).routes,
    clock,
    log,
    https,
    api,
    idScope: instance.idScope,
    renamed: () => renamed,
    rekeyed: () => rekeyed,
    dps: async ({ keyName = 'provisioningserviceowner', ...asked }) => {
      const policy = (await provisioning.instances.policies('dps-a')).find((candidate) => candidate.keyName === keyName);
      const headers = { host: 'localhost', ...json(asked), authorization: token('localhost', policy), ...asked.headers };
      return ask(https.port, { ...asked, path: withVersion(asked.path, '2021-10-01'), headers });
    },
    hubService: async ({ keyName = 'iothubowner', resource = hubHost, ...asked }) => {
      const policy = (await hub.hubs.policies('hub-a')).find((candidate) => candidate.keyName === keyName);
      const headers = { host: hubHost, ...json(asked), authorization: token(resource, policy), ...asked.headers };
      return ask(https.port, { ...asked, path: withVersion(asked.path, '2021-04-12'), headers });
    },
    device: async ({ certificate, token: sas, ...asked }) => {
      https.present(certificate === undefined ? [] : [certificate.der]);
      const headers = { host: 'localhost', ...(sas === undefined ? {} : { authorization: sas }), ...asked.headers };
      try {
        return await ask(https.port, { ...asked, headers });
      } finally {
        https.present([]);
      }
    },
    muster: (asked) => ask(api.port, { ...asked, headers: { ...json(asked), authorization: `Bearer ${apiToken}`, ...asked.headers } }),
    close: async () => {
      const closing = Promise.all([httpDoor.close(), apiDoor.close()]);
      clock.advance(seconds(10));
      await closing;
      await provisioning.close();
      await Promise.all([https.close(), api.close(), store.close()]);
    },
  };
}
