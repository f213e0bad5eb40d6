import { openAuditRetention } from './audit/retention.ts';
import { createLocalBus } from './bus/local.ts';
import { openDoors } from './composition/doors.ts';
import { describeEndpoints } from './composition/endpoints.ts';
import { armed, openEvents } from './composition/events.ts';
import { createHubTrust } from './composition/hub-trust.ts';
import { openRecords } from './composition/records.ts';
import { defaultHostName, ensureResources } from './composition/resources.ts';
import type { Config } from './config/config.ts';
import type { Endpoints } from './contracts/muster-endpoints.ts';
import { createEventList } from './events/event-list.ts';
import { createFleet } from './fleet/fleet.ts';
import type { Fleet } from './fleet/service.ts';
import type { Within } from './fleet/what-if/stage.ts';
import { createHubAssignments } from './hub/assignments.ts';
import { createHub } from './hub/hub.ts';
import { openMessageHousekeeping } from './hub/messaging/housekeeping.ts';
import { openTelemetryRetention } from './hub/telemetry-retention.ts';
import { createByteBudget } from './kernel/byte-budget.ts';
import { type Clock, hours, seconds } from './kernel/clock.ts';
import type { Ids } from './kernel/ids.ts';
import type { Logger } from './kernel/logger.ts';
import { createRounds, type Rounds } from './kernel/rounds.ts';
import { ServiceError } from './kernel/service-error.ts';
import { createAllocationWebhooks } from './outbound/allocation-webhooks.ts';
import { createRegions } from './provisioning/allocation/regions.ts';
import { createProvisioning } from './provisioning/provisioning.ts';
import type { Provisioning } from './provisioning/service.ts';
import { openDataFolder } from './runtime/data-folder.ts';
import { issueServerIdentity, readServerIdentity, type ServerIdentity } from './runtime/server-certificate.ts';
import { createClosers } from './runtime/closers.ts';
import { StoreOpenError } from './stores/sql/store-open-error.ts';
import type { SqlStore } from './stores/sql/store.ts';
import { createAmqpDoor } from './transports/amqp/door.ts';
import { createApiDoor, createHttpDoor } from './transports/http/door.ts';
import { createMqttDoor } from './transports/mqtt/door.ts';

/** A running service. */
export interface Muster {
  endpoints(): Promise<Endpoints>;
  /** Sentences about what the start found: doors that stayed closed, what a crash left and what was recovered. */
  readonly notices: readonly string[];
  close(): Promise<void>;
}

export interface Surroundings {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly pid: number;
}

/**
 * The deployment, top to bottom: folder, store, bus, the two domains joined, doors, ports. Resolves when every port is
 * bound and the folder holds the endpoints. Throws `ServiceError` with a sentence for the operator.
 */
export async function openMuster(config: Config, surroundings: Surroundings): Promise<Muster> {
  const closers = createClosers(surroundings.log);
  try {
    return await open(config, surroundings, closers);
  } catch (error) {
    await closers.close();
    throw error;
  }
}

async function open(config: Config, surroundings: Surroundings, closers: ReturnType<typeof createClosers>): Promise<Muster> {
  const { clock, ids, log } = surroundings;
  const folder = closers.keep(openDataFolder(config.data, surroundings.pid));
  const { store, audit, operators, refusals } = await openRecords({ folder, clock, ids, log }).catch(asOperatorError);
  closers.keep(store);
  const events = closers.keep(await openEvents({ store, folder, webhook: config.eventWebhook, clock, ids, log }));
  const bus = createLocalBus({ clock, log });
  const watched = armed(store, () => events.ring());
  const { provisioning, hub, fleet } = joinDomains({ store: watched, bus, config, onRefusal: () => refusals.ring(), ...surroundings });
  for (const domain of [provisioning, hub, fleet]) closers.keep(domain);
  await ensureResources({ config, provisioning, hub });
  const recovered = await provisioning.recover();
  closers.keep(openTelemetryRetention({ storage: store, clock, log }));
  closers.keep(openAuditRetention({ audit, clock, log, retentionDays: config.auditRetentionDays }));
  closers.keep(openMessageHousekeeping({ storage: store, bus, clock, log }));
  await Promise.all([hub.start(), fleet.recover()]);

  const identity = await serverIdentity();
  const budget = createByteBudget(config.bufferedMegabytes * 1024 * 1024);
  const dependencies = { provisioning, hub, clock, ids, log, budget };
  const mqtt = closers.keep(createMqttDoor(dependencies));
  const amqp = closers.keep(createAmqpDoor(dependencies));
  const http = closers.keep(await createHttpDoor({ ...dependencies, webSockets: webSocketDoors(mqtt, amqp) }));
  const api = closers.keep(
    await createApiDoor({
      ...dependencies,
      decisions: store.read.decisions,
      fleet,
      operators,
      audit,
      refusals,
      events: createEventList({ events: store.read.events }),
      defaultHostName: (kind, name) => defaultHostName(kind, name, false),
      onNamesChanged: () => announce(),
      onKeysChanged: () => writeEndpoints(),
    }),
  );
  const accept = behindPorts({ http, mqtt, amqp, api });
  const doors = closers.keep(await openDoors({ config, credentials: identity, accept, log }));
  await announce();
  closers.keep({ close: () => folder.remove('endpoints.json') });
  closers.keep(keepCertificateFresh(announce, surroundings));

  async function serverIdentity(): Promise<ServerIdentity> {
    const { serverCertificate: certificate, serverKey: key } = config;
    if (certificate !== undefined && key !== undefined) return readServerIdentity({ certificate, key });
    const names = [...(await provisioning.instances.list()), ...(await hub.hubs.list())].map((resource) => resource.hostName);
    return await issueServerIdentity({ folder, names, clock, ids });
  }
  function endpoints(): Promise<Endpoints> {
    return describeEndpoints({ provisioning, hub, ports: doors.ports, caPath: identity.caPath, pid: surroundings.pid });
  }
  /** New names want a certificate that has them, as does the end of the old one, and a file that tells the command line. */
  async function announce(): Promise<void> {
    doors.renew(await serverIdentity());
    await writeEndpoints();
  }
  /** The file holds the key with which the command line signs. */
  async function writeEndpoints(): Promise<void> {
    folder.write(`${JSON.stringify(await endpoints(), undefined, 2)}\n`, 'endpoints.json');
  }
  return { endpoints, notices: [...recoveryNotices(store, recovered), ...doors.notices], close: () => closers.close() };
}

interface PortDoors {
  readonly http: Awaited<ReturnType<typeof createHttpDoor>>;
  readonly mqtt: ReturnType<typeof createMqttDoor>;
  readonly amqp: ReturnType<typeof createAmqpDoor>;
  readonly api: Awaited<ReturnType<typeof createApiDoor>>;
}

function behindPorts({ http, mqtt, amqp, api }: PortDoors): Parameters<typeof openDoors>[0]['accept'] {
  return {
    https: (connection) => http.accept(connection, 'https'),
    mqtt: (connection) => mqtt.accept(connection, 'mqtt'),
    amqp: (connection) => amqp.accept(connection, 'amqp'),
    api: (connection) => api.accept(connection, 'https'),
  };
}

function webSocketDoors(mqtt: ReturnType<typeof createMqttDoor>, amqp: ReturnType<typeof createAmqpDoor>) {
  return {
    mqtt: (connection: Parameters<typeof mqtt.accept>[0]) => mqtt.accept(connection, 'mqtt-ws'),
    amqp: (connection: Parameters<typeof amqp.accept>[0]) => amqp.accept(connection, 'amqp-ws'),
  };
}

/** A service may run for years, its certificate may not; and one that the operator put there is read anew when he renews it. */
function keepCertificateFresh(renew: () => Promise<void>, { clock, log }: Surroundings): Rounds {
  const onFailure = (error: unknown): void => log.error('certificate.renew-failed', { error });
  return createRounds({ clock, interval: hours(24), round: renew, onFailure });
}

function asOperatorError(error: unknown): never {
  throw error instanceof StoreOpenError ? new ServiceError('ArgumentInvalid', error.message) : error;
}

/** The two domains know each other only through ports; here is where they meet, and where the third is put over them. */
function joinDomains(
  deps: Surroundings & {
    readonly store: Pick<SqlStore, 'read' | 'write'>;
    readonly bus: ReturnType<typeof createLocalBus>;
    readonly config: Config;
    readonly onRefusal: () => void;
  },
) {
  const { store, bus, clock, ids, log, config, onRefusal } = deps;
  const { timeoutSeconds, concurrentCalls } = config.allocationWebhooks;
  const hubAssignments = createHubAssignments({ clock, ids, bus, log });
  const within: Within = {
    provisioning: (transaction) => ({ ...transaction, hubs: hubAssignments(transaction) }),
    hubTrust: createHubTrust,
  };
  const anchors = createHubTrust(store.read);
  const endWithCertificate = config.endSessionsWithCertificate;
  const hub = createHub({ storage: store, bus, clock, ids, log, anchors, endWithCertificate, onRefusal });
  const provisioning = createProvisioning({
    storage: {
      read: store.read,
      write: (work, cause) => store.write((transaction) => work(within.provisioning(transaction)), cause),
    },
    clock,
    ids,
    log,
    requireVerifiedCa: config.requireVerifiedCa,
    allocation: {
      webhooks: createAllocationWebhooks({ clock, patience: seconds(timeoutSeconds) }),
      concurrentCalls,
      regions: createRegions(config.regions),
    },
    quotas: config.quotas,
    pollAfterSeconds: config.pollAfterSeconds,
    onRefusal,
    retryHint: (...asked) => fleet.tripwires.retryHint(...asked),
  });
  const fleet: Fleet = createFleet({ storage: store, provisioning, within, hub, bus, clock, ids, log });
  return { provisioning, hub, fleet };
}

function recoveryNotices(
  store: SqlStore,
  { finishedOperations, resumedOperations }: Awaited<ReturnType<Provisioning['recover']>>,
): readonly string[] {
  if (store.recovery.cleanShutdown) return [];
  const kilobytes = Math.ceil(store.recovery.walBytes / 1024);
  const operations = finishedOperations === 0 ? '' : ` and finished ${finishedOperations} registrations`;
  const resumed = resumedOperations === 0 ? '' : `, and goes on with ${resumedOperations} that wait for a webhook`;
  return [
    `The last run did not shut down cleanly: recovered ${kilobytes} KiB of committed changes from the write-ahead log${operations}${resumed}. Nothing that was acknowledged is lost.`,
  ];
}
