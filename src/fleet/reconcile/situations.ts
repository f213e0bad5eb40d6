import { bareHost } from '../../contracts/host-name.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import type { EnrollmentRow } from '../../provisioning/ports.ts';
import type { EntryGlance, FleetStorage, IdentityGlance, RecordGlance } from '../ports.ts';
import type { RecordSituation } from './judge-record.ts';
import type { IsShutOut } from './shut-out.ts';

export type DriftStores = Pick<
  FleetStorage['read'],
  'drift' | 'hubs' | 'instances' | 'enrollments' | 'presented' | 'receipts' | 'blocks' | 'registrations' | 'caCertificates' | 'tpm'
>;

/** Where to read, and whom to ask. */
export interface Reading {
  readonly stores: DriftStores;
  readonly isShutOut: IsShutOut;
}

/** Hubs and links, of which there are few: read once for a slice of records. */
export interface Topology {
  /** The name of the hub that has this host name. */
  readonly hubOf: (host: string) => string | undefined;
  /** Bare, see `bareHost`. */
  readonly hostOf: (hub: string) => string | undefined;
  readonly isLinked: (instance: string, host: string) => boolean;
}

export async function readTopology({ hubs, instances }: Pick<DriftStores, 'hubs' | 'instances'>): Promise<Topology> {
  const known = await hubs.list();
  const byHost = new Map(known.map(({ name, hostName }) => [bareHost(hostName), name]));
  const byName = new Map(known.map(({ name, hostName }) => [name.toLowerCase(), bareHost(hostName)]));
  const links = new Map<string, ReadonlySet<string>>();
  for (const { name } of await instances.list()) {
    links.set(name.toLowerCase(), new Set((await instances.linkedHubs(name)).map(({ hostName }) => bareHost(hostName))));
  }
  return {
    hubOf: (host) => byHost.get(bareHost(host)),
    hostOf: (hub) => byName.get(hub.toLowerCase()),
    isLinked: (instance, host) => links.get(instance.toLowerCase())?.has(bareHost(host)) === true,
  };
}

/** What records refer to, read for all of them together. */
export async function situationsOf(
  { stores, isShutOut }: Reading,
  topology: Topology,
  records: readonly RecordGlance[],
): Promise<readonly RecordSituation[]> {
  const identities = await identitiesFor(stores, topology, records);
  const entries = await entriesFor(stores, records);
  const situations: RecordSituation[] = [];
  for (const record of records) {
    const { assignedHub } = record;
    const hub = assignedHub === undefined ? undefined : topology.hubOf(assignedHub);
    const identity = identities.get(identityKey(hub, record.deviceId));
    const entry = entries.get(entryKey(record.enrollmentKind, record.instance, record.enrollmentId));
    const isLooseEnd = entry === undefined || record.status === 'assigned';
    const known = { record, ...(hub === undefined ? {} : { hub }), ...(identity === undefined ? {} : { identity }) };
    situations.push({
      ...known,
      isLinked: assignedHub !== undefined && topology.isLinked(record.instance, assignedHub),
      ...(entry === undefined ? {} : { entry }),
      ...(await sha1Of(stores, record, identity)),
      isHeldByReceipt: entry === undefined && identity === undefined && (await isHeld(stores, record)),
      // Asked only of records that are about to be told of.
      isShutOut: identity === undefined && record.status !== 'assigning' && isLooseEnd && (await isShutOut(stores, record)),
    });
  }
  return situations;
}

const identityKey = (hub: string | undefined, deviceId: string | undefined): string => JSON.stringify([hub?.toLowerCase(), deviceId]);
const entryKey = (...names: readonly string[]): string => JSON.stringify(names.map((name) => name.toLowerCase()));

async function identitiesFor(
  { drift }: DriftStores,
  { hubOf }: Topology,
  records: readonly RecordGlance[],
): Promise<ReadonlyMap<string, IdentityGlance>> {
  const wanted = new Map<string, string[]>();
  for (const { assignedHub, deviceId } of records) {
    const hub = assignedHub === undefined ? undefined : hubOf(assignedHub);
    if (hub === undefined || deviceId === undefined) continue;
    const ids = wanted.get(hub) ?? [];
    wanted.set(hub, ids);
    ids.push(deviceId);
  }
  const found = new Map<string, IdentityGlance>();
  for (const [hub, ids] of wanted) {
    for (const identity of await drift.identitiesOf(hub, ids)) found.set(identityKey(identity.hub, identity.deviceId), identity);
  }
  return found;
}

async function entriesFor({ drift }: DriftStores, records: readonly RecordGlance[]): Promise<ReadonlyMap<string, EntryGlance>> {
  const wanted = new Map<string, { readonly kind: EnrollmentRow['kind']; readonly instance: string; readonly ids: Set<string> }>();
  for (const { enrollmentKind: kind, instance, enrollmentId } of records) {
    const key = entryKey(kind, instance);
    const group = wanted.get(key) ?? { kind, instance, ids: new Set<string>() };
    wanted.set(key, group);
    group.ids.add(enrollmentId.toLowerCase());
  }
  const found = new Map<string, EntryGlance>();
  for (const { kind, instance, ids } of wanted.values()) {
    for (const entry of await drift.entriesOf(kind, instance, [...ids])) found.set(entryKey(kind, instance, entry.id), entry);
  }
  return found;
}

/** Only an operator knows certificates by their SHA-1, so that this is asked of few. */
async function sha1Of(
  { presented }: DriftStores,
  { instance, registrationId, leafSha256 }: RecordGlance,
  identity: IdentityGlance | undefined,
): Promise<Pick<RecordSituation, 'leafSha1'>> {
  const { primaryThumbprint, secondaryThumbprint } = identity?.authentication ?? {};
  const accepted = [primaryThumbprint, secondaryThumbprint];
  if (leafSha256 === undefined || accepted.includes(leafSha256) || !accepted.some((thumbprint) => thumbprint?.length === 40)) return {};
  const [leaf] = (await presented.get(instance, registrationId)) ?? [];
  return leaf === undefined ? {} : { leafSha1: parseCertificate(leaf).sha1 };
}

/** As many as a device was ever shut out. */
const receiptsOfDevice = 100;

async function isHeld({ receipts }: DriftStores, { status, registrationId }: RecordGlance): Promise<boolean> {
  if (status !== 'disabled') return false;
  const rows = await receipts.list({ limit: receiptsOfDevice, device: registrationId });
  return rows.some(({ kind, undoneBy }) => kind === 'revoke' && undoneBy === undefined);
}
