import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Block } from '../../blocks/block.ts';
import type { Flip, FlipCounts, Forecast, Outlook, WhatIfEvent, WhatIfReport } from '../../contracts/fleet/what-if.ts';
import { limits } from '../../contracts/limits.ts';
import type { HubInstance } from '../../hub/ports.ts';
import type { Clock } from '../../kernel/clock.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { type Certificate, parseCertificate } from '../../pki/certificate.ts';
import type { ProvisioningInstance } from '../../provisioning/ports.ts';
import { type KnownDevice, knownDevice, knownDevices, type KnownDeviceSource } from '../../provisioning/rehearsal/known-devices.ts';
import { createCertificateCache } from '../../provisioning/trust-material.ts';
import { isoTime } from '../iso-time.ts';
import type { FleetStorage } from '../ports.ts';
import { applyEntryChange, type Change, describeChange, isEntryChange, reachesHubs } from './change.ts';
import { foretellConnection, identityAlone, identityOf, type KnownIdentity } from './connections.ts';
import { compare, foretellRegistration } from './forecast.ts';
import { readList } from './list.ts';
import { createOnStage, type OnStage, type Stage, type StageDeps } from './stage.ts';

export interface WhatIfDeps extends StageDeps {
  readonly storage: FleetStorage;
  readonly clock: Clock;
}

export interface WhatIfRequest {
  readonly change: Change;
  /** Devices that stay as they are, too. */
  readonly all?: boolean;
  /** These registration ids alone, instead of the whole fleet. */
  readonly devices?: readonly string[];
}

export interface WhatIf {
  /**
   * What a change would do to every device that is known. Makes it again and again in short transactions that are rolled
   * back, a few devices in each: others wait for milliseconds, and what they change meanwhile is seen by the devices that
   * follow. Throws what the change itself would be refused with, and `ServerBusy`; what it resolves with goes through the
   * fleet.
   */
  stream(request: WhatIfRequest): Promise<(signal: AbortSignal) => AsyncGenerator<WhatIfEvent>>;
  /** All of it at once, bounded. */
  report(request: WhatIfRequest): Promise<WhatIfReport>;
}

/** Asks the decision twice about every known device: as things are, and with the change made. */
export function createWhatIf(deps: WhatIfDeps): WhatIf {
  let underWay = 0;

  function begin(): void {
    if (underWay >= limits.whatIfsAtOnce)
      throw new ServiceError('ServerBusy', 'Other questions of this kind are being answered.', { retryAfterSeconds: 10 });
    underWay += 1;
  }

  function end(): void {
    underWay -= 1;
  }

  async function stream(request: WhatIfRequest): ReturnType<WhatIf['stream']> {
    // Making the change once holds up everybody who writes, so that it counts, too.
    begin();
    const question = await prepare(deps, request.change).finally(end);
    return async function* follow(signal) {
      begin();
      try {
        yield* foresee(question, request, signal);
      } finally {
        end();
      }
    };
  }

  return {
    stream,
    async report(request) {
      const devices: Forecast[] = [];
      let truncated = false;
      for await (const event of (await stream(request))(new AbortController().signal)) {
        if (event.kind === 'summary') return { ...event.summary, devices, truncated };
        if (event.kind !== 'device') continue;
        if (devices.length < limits.whatIfDevices) devices.push(event.device);
        else truncated = true;
      }
      throw new Error('a question ended without an answer');
    },
  };
}

type Read = FleetStorage['read'];

/** What is asked about, and everything that is needed to ask it. */
interface Question {
  readonly read: Read;
  readonly clock: Clock;
  readonly onStage: OnStage;
  readonly source: KnownDeviceSource;
  readonly instances: readonly ProvisioningInstance[];
  /** The change, made. */
  readonly changed: (stage: Stage) => Promise<Stage>;
  readonly withHubs: boolean;
  /** Those that came with a list. */
  readonly certificates: readonly Certificate[];
  readonly notes: readonly string[];
}

/** In one transaction: each costs a fraction of a millisecond, and everybody else waits for all of them. */
const devicesPerTurn = 25;

async function* foresee(question: Question, request: WhatIfRequest, signal: AbortSignal): AsyncGenerator<WhatIfEvent> {
  const { change, all } = request;
  const total = request.devices?.length ?? (await countDevices(question));
  const counts: Record<Flip, number> = { 'shut-out': 0, 'let-in': 0, moves: 0, unknown: 0, differs: 0, stays: 0 };
  let examined = 0;
  const strange = new Set(request.devices?.map((device) => device.toLowerCase()));
  for await (const batch of forecasts(question, request.devices)) {
    if (signal.aborted) return;
    for (const device of batch) {
      strange.delete(device.device.toLowerCase());
      counts[device.flip] += 1;
      if (device.flip !== 'stays' || all === true) yield { kind: 'device', device };
    }
    examined += batch.length;
    yield { kind: 'progress', examined, total: Math.max(total, examined) };
  }
  const unknown = request.devices?.filter((device) => strange.has(device.toLowerCase())) ?? [];
  const notes = [...question.notes, ...notesOnNamed(unknown), ...notesOn(question, counts)];
  const summary = { change: describeChange(change), at: isoTime(question.clock.now()), examined, counts, notes };
  yield { kind: 'summary', summary };
}

async function prepare(deps: WhatIfDeps, change: Change): Promise<Question> {
  const { clock, storage } = deps;
  const { read } = storage;
  const all = await read.instances.list();
  const listed = change.kind === 'list' ? readList(change, { issuers: await knownIssuers(read, all), at: clock.now() }) : undefined;
  const instances = isEntryChange(change) ? [chooseInstance(all, change.instance)] : all;
  const onStage = createOnStage(deps);
  const question: Question = {
    read,
    clock,
    onStage,
    source: { stores: read, certificates: createCertificateCache(), clock },
    instances,
    changed: (stage) => makeChange(stage, { change, instances, ...(listed === undefined ? {} : { block: listed.block }) }),
    withHubs: reachesHubs(change),
    certificates: listed?.certificates ?? [],
    notes: listed?.notes ?? [],
  };
  // Whoever asks about what cannot be done is told so, even if there are no devices.
  await onStage(question.changed);
  return question;
}

async function makeChange(
  stage: Stage,
  { change, instances, block }: { readonly change: Change; readonly instances: readonly ProvisioningInstance[]; readonly block?: Block },
): Promise<Stage> {
  if (change.kind === 'block') await stage.transaction.blocks.delete(change.id);
  if (isEntryChange(change)) for (const { name } of instances) await applyEntryChange(stage, name, change);
  return block === undefined ? stage : stage.blocking(block);
}

function chooseInstance(all: readonly ProvisioningInstance[], wanted: string | undefined): ProvisioningInstance {
  const [only, ...others] = all;
  const found =
    wanted === undefined ? (others.length === 0 ? only : undefined) : all.find(({ name }) => name.toLowerCase() === wanted.toLowerCase());
  if (found !== undefined) return found;
  if (wanted === undefined)
    throw new ServiceError(
      'ArgumentInvalid',
      `Say which provisioning service is to be changed: ${all.map(({ name }) => name).join(', ')}.`,
    );
  throw new ServiceError('ResourceNotFound', `There is no provisioning service named '${wanted}'.`);
}

async function knownIssuers(
  { caCertificates, enrollments }: Read,
  instances: readonly ProvisioningInstance[],
): Promise<readonly Certificate[]> {
  const ders: Uint8Array[] = [];
  for (const { name } of instances) {
    ders.push(
      ...(await caCertificates.list(name)).map(({ der }) => der),
      ...(await enrollments.signingCertificates(name)).map(({ der }) => der),
    );
  }
  return ders.map((der) => parseCertificate(der));
}

/** About: an enrollment may be of a device that has a record, and identities that never registered are not counted beforehand. */
async function countDevices({ read, instances }: Question): Promise<number> {
  let total = 0;
  for (const { name } of instances) total += (await read.registrations.count(name)) + (await read.enrollments.count('individual', name));
  return total;
}

async function* forecasts(question: Question, named: readonly string[] | undefined): AsyncGenerator<readonly Forecast[]> {
  const { source, instances, read, withHubs } = question;
  for (const instance of instances) {
    const found = named === undefined ? knownDevices(source, instance) : namedDevices(source, instance, named);
    for await (const devices of found) yield* inTurns(question, devices, askAboutDevices);
  }
  if (!withHubs || named !== undefined) return;
  for (const hub of await read.hubs.list()) {
    for await (const identities of strangers(question, hub)) yield* inTurns(question, identities, askAboutIdentities);
  }
}

async function* namedDevices(
  source: KnownDeviceSource,
  instance: ProvisioningInstance,
  ids: readonly string[],
): AsyncGenerator<readonly KnownDevice[]> {
  for (const id of ids) {
    const device = await knownDevice(source, instance, id);
    if (device !== undefined) yield [device];
  }
}

/** Asks about items, as things stand on a stage. */
type Ask<T, Answer> = (question: Question, stage: Stage, items: readonly T[]) => Promise<readonly Answer[]>;

/** What is said of one device, on one side of the change. */
type Outlooks = Pick<Forecast, 'device' | 'instance'> & { readonly registration?: Outlook; readonly connection?: Outlook };

async function* inTurns<T>(question: Question, items: readonly T[], ask: Ask<T, Outlooks>): AsyncGenerator<readonly Forecast[]> {
  for (let at = 0; at < items.length; at += devicesPerTurn) {
    // Everything that is asked answers within this turn, so that others would wait for all of it.
    await nextTurn();
    const some = items.slice(at, at + devicesPerTurn);
    yield await question.onStage(async (stage) => {
      const before = await ask(question, stage, some);
      const after = await ask(question, await question.changed(stage), some);
      return before.map((outlooks, place) => join(outlooks, after[place]));
    });
  }
}

function join({ device, instance, registration, connection }: Outlooks, after: Outlooks | undefined): Forecast {
  const [registrations, connections] = [both(registration, after?.registration), both(connection, after?.connection)];
  return compare({
    device,
    ...(instance === undefined ? {} : { instance }),
    ...(registrations === undefined ? {} : { registration: registrations }),
    ...(connections === undefined ? {} : { connection: connections }),
  });
}

function both(before: Outlook | undefined, after: Outlook | undefined): Forecast['registration'] {
  return before === undefined || after === undefined ? undefined : { before, after };
}

async function askAboutDevices(question: Question, stage: Stage, devices: readonly KnownDevice[]): Promise<readonly Outlooks[]> {
  const answers: Outlooks[] = [];
  for (const device of devices) {
    const registration = await foretellRegistration(stage.rehearsal, device);
    const identity = question.withHubs ? await identityOf(stage.transaction, device, question.clock) : undefined;
    const connection = identity === undefined ? {} : { connection: await foretellConnection(stage.hub, question.clock, identity) };
    answers.push({ device: device.registrationId, instance: device.instance.name, registration, ...connection });
  }
  return answers;
}

async function askAboutIdentities({ clock }: Question, stage: Stage, identities: readonly KnownIdentity[]): Promise<readonly Outlooks[]> {
  const answers: Outlooks[] = [];
  for (const identity of identities) {
    answers.push({ device: identity.device.deviceId, connection: await foretellConnection(stage.hub, clock, identity) });
  }
  return answers;
}

const identitiesAtOnce = 200;

/** Identities that no registration led to. */
async function* strangers({ read, certificates, clock }: Question, hub: HubInstance): AsyncGenerator<readonly KnownIdentity[]> {
  let after: string | undefined;
  do {
    const page = await read.devices.list(hub.name, { limit: identitiesAtOnce, ...(after === undefined ? {} : { after }) });
    const found: KnownIdentity[] = [];
    for (const device of page.items) {
      const records = await read.registrations.find({ deviceId: device.deviceId });
      if (records.some(({ assignedHub }) => assignedHub?.toLowerCase() === hub.hostName.toLowerCase())) continue;
      found.push(identityAlone(hub, device, { clock, certificates }));
    }
    yield found;
    after = page.next;
  } while (after !== undefined);
}

/** Devices that were asked about by name, and of which nobody knows anything. */
function notesOnNamed(unknown: readonly string[]): readonly string[] {
  if (unknown.length === 0) return [];
  const more = unknown.length > namedInNote ? ` and ${unknown.length - namedInNote} others` : '';
  return [`Not known here: ${unknown.slice(0, namedInNote).join(', ')}${more}.`];
}

const namedInNote = 10;

function notesOn({ instances }: Question, counts: FlipCounts): readonly string[] {
  const filtered = instances.filter(({ ipFilterRules }) => ipFilterRules.some(({ target }) => target !== 'serviceApi'));
  return [
    'Devices that never registered here and that no individual enrollment names are not known, and not counted.',
    ...(counts.unknown === 0
      ? []
      : [
          `${counts.unknown} devices cannot be foretold: what they show was never kept, or a webhook or their address decides about their hub.`,
        ]),
    ...(filtered.length === 0 ? [] : ['The IP filter is left out, since nobody knows from where the devices will call.']),
  ];
}
