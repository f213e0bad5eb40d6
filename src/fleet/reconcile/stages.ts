import type { Block } from '../../blocks/block.ts';
import { bareHost } from '../../contracts/host-name.ts';
import type { Drift, DriftKind, DriftSubject } from '../../contracts/fleet/drift.ts';
import { limits } from '../../contracts/limits.ts';
import type { Clock, Instant } from '../../kernel/clock.ts';
import type { Page, PageRequest } from '../../kernel/page.ts';
import type { EnrollmentRow, LinkedHubRow } from '../../provisioning/ports.ts';
import { isoTime } from '../iso-time.ts';
import type { IdentityGlance } from '../ports.ts';
import type { Denies } from './denies.ts';
import { judgeRecord } from './judge-record.ts';
import { type DriftStores, type Reading, readTopology, situationsOf, type Topology } from './situations.ts';

/** One row that was looked at. `key` is its place within its stage. */
export interface Examined {
  readonly key: string;
  readonly findings: readonly Drift[];
  /** What looking at it counts as. */
  readonly cost: number;
}

/** One kind of row, in the order of its keys. Rows are read as they are taken, a slice at a time. */
export interface Stage {
  readonly name: string;
  /** What its rows can show. */
  readonly kinds: readonly DriftKind[];
  rows(after: string | undefined): AsyncIterable<Examined>;
}

export interface StageDeps extends Reading {
  readonly clock: Clock;
  readonly denies: Denies;
}

const rowsAtOnce = 1000;

/** Everything that can have come apart, in the order in which it is listed. */
export function createStages(deps: StageDeps): readonly Stage[] {
  const { stores } = deps;
  return [
    { name: 'links', kinds: ['dead-link'], rows: (after) => links(stores, after) },
    {
      name: 'records',
      kinds: ['record-without-enrollment', 'record-without-device', 'dead-link', 'thumbprint-differs'],
      rows: (after) => records(deps, after),
    },
    { name: 'devices', kinds: ['device-without-record'], rows: (after) => devices(stores, after) },
    { name: 'enrollments', kinds: ['dead-link', 'deny-not-needed'], rows: (after) => entries(deps, 'individual', after) },
    { name: 'groups', kinds: ['dead-link'], rows: (after) => entries(deps, 'group', after) },
    { name: 'blocks', kinds: ['deny-not-needed'], rows: (after) => blocks(deps, after) },
  ];
}

async function* links(stores: DriftStores, after: string | undefined): AsyncGenerator<Examined> {
  const topology = await readTopology(stores);
  for (const link of await allLinks(stores)) {
    const key = linkKey(link);
    if (after === undefined || key > after) yield { key, findings: judgeLink(topology, link), cost: 1 };
  }
}

async function allLinks({ instances }: DriftStores): Promise<readonly LinkedHubRow[]> {
  const found: LinkedHubRow[] = [];
  for (const { name } of await instances.list()) found.push(...(await instances.linkedHubs(name)));
  return found.toSorted((a, b) => (linkKey(a) < linkKey(b) ? -1 : 1));
}

const linkKey = ({ instance, hostName }: LinkedHubRow): string => `${instance.toLowerCase()}\n${hostName.toLowerCase()}`;

/** Nobody is ever at a hub that is not there: without the link a device that would have gone there goes to another hub. */
export function judgeLink({ hubOf }: Pick<Topology, 'hubOf'>, { instance, hostName }: LinkedHubRow): readonly Drift[] {
  if (hubOf(hostName) !== undefined) return [];
  return [
    {
      kind: 'dead-link',
      subject: { type: 'linked-hub', id: hostName, scope: instance },
      sentence: `${instance} is linked to ${hostName}, and there is no such hub: devices that are assigned there fail.`,
      mendable: true,
      remedy: 'The hub is unlinked; devices that would have been assigned to it go to the others.',
    },
  ];
}

async function* records(reading: Reading, start: string | undefined): AsyncGenerator<Examined> {
  const { stores } = reading;
  for await (const slice of slicesOf((page) => stores.drift.records(page), start)) {
    const situations = await situationsOf(reading, await readTopology(stores), slice);
    for (const [at, { key }] of slice.entries()) {
      const situation = situations[at];
      yield { key, findings: situation === undefined ? [] : judgeRecord(situation), cost: 1 };
    }
  }
}

async function* devices(stores: DriftStores, start: string | undefined): AsyncGenerator<Examined> {
  for await (const slice of slicesOf((page) => stores.drift.identities(page), start)) {
    const topology = await readTopology(stores);
    const provisioned = slice.filter((identity) => identity.provisioned === true);
    const named = await stores.drift.recordsOf(provisioned.map(({ deviceId }) => deviceId));
    const homes = new Set(named.map((record) => homeKey(record.assignedHub ?? '', record.deviceId)));
    for (const identity of slice) yield { key: identity.key, findings: judgeIdentity(topology, homes, identity), cost: 1 };
  }
}

const homeKey = (host: string, deviceId: string | undefined): string => JSON.stringify([bareHost(host), deviceId]);

/** An identity that an operator made by hand has no record, and needs none. */
function judgeIdentity({ hostOf }: Topology, homes: ReadonlySet<string>, { hub, deviceId, provisioned }: IdentityGlance): readonly Drift[] {
  if (provisioned !== true || homes.has(homeKey(hostOf(hub) ?? '', deviceId))) return [];
  return [
    {
      kind: 'device-without-record',
      subject: { type: 'device', id: deviceId, scope: hub },
      sentence: 'A registration assigned it to this hub, and no registration record names it any more.',
      mendable: false,
      remedy: `Its next registration makes a record. If it is not to come back, deprovision it: muster deprovision ${deviceId} --reason WHY`,
    },
  ];
}

async function* entries(deps: StageDeps, kind: EnrollmentRow['kind'], start: string | undefined): AsyncGenerator<Examined> {
  const { instances, enrollments } = deps.stores;
  const [first = '', within] = start === undefined ? [] : start.split('\n');
  const names = (await instances.list()).map(({ name }) => name.toLowerCase()).toSorted();
  for (const instance of names.filter((name) => name >= first)) {
    const read = (page: PageRequest) => enrollments.list(kind, instance, page);
    for await (const slice of slicesOf(read, instance === first ? within : undefined)) {
      const topology = await readTopology(deps.stores);
      for (const entry of slice) {
        const isDeny = kind === 'individual' && entry.provisioningStatus === 'disabled';
        const findings = [...judgeEntry(topology, entry), ...(isDeny ? await deps.denies.ofEntry(entry) : [])];
        yield { key: `${instance}\n${entry.id.toLowerCase()}`, findings, cost: isDeny ? limits.driftRowsPerDeny : 1 };
      }
    }
  }
}

export function judgeEntry(
  { hubOf, isLinked }: Topology,
  { kind, instance, id, iotHubs, iotHubHostName }: EnrollmentRow,
): readonly Drift[] {
  const named = [...new Set([...(iotHubs ?? []), ...(iotHubHostName === undefined ? [] : [iotHubHostName])].map(bareHost))];
  const subject: DriftSubject = { type: kind === 'group' ? 'enrollment-group' : 'enrollment', id, scope: instance };
  return named
    .filter((host) => !isLinked(instance, host))
    .map((host) => ({
      kind: 'dead-link' as const,
      subject,
      sentence: `It names the hub ${host}, which is ${hubOf(host) === undefined ? 'not there' : `not linked to ${instance}`}.`,
      mendable: false,
      remedy: 'Link the hub, or take it out of the entry: only an operator knows where these devices are to go.',
    }));
}

async function* blocks({ stores, clock, denies }: StageDeps, start: string | undefined): AsyncGenerator<Examined> {
  for await (const slice of slicesOf((page) => stores.blocks.list(page), start)) {
    for (const block of slice) {
      const ended = judgeEnd(block, clock.now());
      if (ended.length > 0) yield { key: block.id, findings: ended, cost: 1 };
      else yield { key: block.id, findings: await denies.ofBlock(block), cost: limits.driftRowsPerDeny };
    }
  }
}

/** A block that has ended covers nobody, now or later. */
export function judgeEnd({ id, expiresAt, reason }: Block, now: Instant): readonly Drift[] {
  if (expiresAt === undefined || expiresAt > now) return [];
  return [
    {
      kind: 'deny-not-needed',
      subject: { type: 'block', id },
      sentence: `The block ended at ${isoTime(expiresAt)} and covers nobody any more. Reason: ${reason}`,
      mendable: true,
      remedy: 'The block is deleted; the audit trail and the receipt keep what it said.',
    },
  ];
}

async function* slicesOf<Row>(read: (page: PageRequest) => Promise<Page<Row>>, start: string | undefined): AsyncGenerator<readonly Row[]> {
  let after = start;
  do {
    const { items, next }: Page<Row> = await read({ limit: rowsAtOnce, ...(after === undefined ? {} : { after }) });
    yield items;
    after = next;
  } while (after !== undefined);
}
