import { openAuditRetention } from './audit/retention.ts';
import { joinDomains, type Surroundings } from './composition/domains.ts';
import { describeEndpoints } from './composition/endpoints.ts';
import { armed, openEvents } from './composition/events.ts';
import { chooseProcesses } from './composition/processes.ts';
import { openRecords } from './composition/records.ts';
import { defaultHostName, ensureResources } from './composition/resources.ts';
import type { Config } from './config/config.ts';
import type { Endpoints } from './contracts/muster-endpoints.ts';
import { createEventList } from './events/event-list.ts';
import { openMessageHousekeeping } from './hub/messaging/housekeeping.ts';
import { openTelemetryRetention } from './hub/telemetry-retention.ts';
import { hours } from './kernel/clock.ts';
import { createRounds, type Rounds } from './kernel/rounds.ts';
import { ServiceError } from './kernel/service-error.ts';
import type { Provisioning } from './provisioning/service.ts';
import { createClosers } from './runtime/closers.ts';
import { openDataFolder } from './runtime/data-folder.ts';
import { issueServerIdentity, readServerIdentity, type ServerIdentity } from './runtime/server-certificate.ts';
import { StoreOpenError } from './stores/sql/store-open-error.ts';
import type { SqlStore } from './stores/sql/store.ts';
import { createApiDoor } from './transports/http/door.ts';

/** A running service. */
export interface Muster {
  endpoints(): Promise<Endpoints>;
  /** Sentences about what the start found: doors that stayed closed, what a crash left and what was recovered. */
  readonly notices: readonly string[];
  close(): Promise<void>;
}

/**
 * The deployment, top to bottom: folder, store, processes, the domains joined, doors, ports. Resolves when every port is
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
  const processes = chooseProcesses({ ...surroundings, config });
  const { bus, together } = processes;
  const [onRefusal, onEvent] = [() => refusals.ring(), () => events.ring()];
  const shared = together === undefined ? {} : { together };
  const domains = joinDomains({ store: armed(store, onEvent), bus, config, onRefusal, ...shared, ...surroundings });
  const { provisioning, hub, fleet } = domains;
  for (const domain of [provisioning, hub, fleet]) closers.keep(domain);
  processes.attach({ provisioning, onRefusal, onEvent });
  await ensureResources({ config, provisioning, hub });
  const recovered = await provisioning.recover();
  closers.keep(openTelemetryRetention({ storage: store, clock, log }));
  closers.keep(openAuditRetention({ audit, clock, log, retentionDays: config.auditRetentionDays }));
  closers.keep(openMessageHousekeeping({ storage: store, bus, clock, log }));
  await Promise.all([hub.start(), fleet.recover()]);

  const identity = await serverIdentity();
  const api = closers.keep(
    await createApiDoor({
      ...domains,
      ...surroundings,
      decisions: store.read.decisions,
      operators,
      audit,
      refusals,
      events: createEventList({ events: store.read.events }),
      defaultHostName: (kind, name) => defaultHostName(kind, name, false),
      onNamesChanged: () => announce(),
      onKeysChanged: () => writeEndpoints(),
    }),
  );
  const doors = closers.keep(await processes.openDoors({ domains, api, credentials: identity, closers }));
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

/** A service may run for years, its certificate may not; and one that the operator put there is read anew when he renews it. */
function keepCertificateFresh(renew: () => Promise<void>, { clock, log }: Surroundings): Rounds {
  const onFailure = (error: unknown): void => log.error('certificate.renew-failed', { error });
  return createRounds({ clock, interval: hours(24), round: renew, onFailure });
}

function asOperatorError(error: unknown): never {
  throw error instanceof StoreOpenError ? new ServiceError('ArgumentInvalid', error.message) : error;
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
