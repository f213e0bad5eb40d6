import type { Cause } from '../audit/actor.ts';
import type { Block, Selector } from '../blocks/block.ts';
import type { CutEnd } from '../hub/cut.ts';
import type { CutResult, SessionBus } from '../hub/ports.ts';
import { createRevocations, type IdentitySnapshot, type Revocations } from '../hub/revocation.ts';
import type { DeviceRow } from '../hub/ports.ts';
import type { Clock, Instant } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Json } from '../kernel/json.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { DryRun, dryly } from './dry-run.ts';
import { findDevice, type FoundDevice, isKnownDevice, summarise } from './found-device.ts';
import { sortableId } from './ids.ts';
import type { FleetStorage, FleetTransaction } from './ports.ts';
import type { Proof } from './proof.ts';
import type { BlockSummary, Receipt, Step, TimeToRevoke, Undo } from '../contracts/fleet/receipt.ts';
import { because } from './because.ts';
import { checkEndsLater } from './block-end.ts';
import { isoTime } from './iso-time.ts';
import type { UndoData } from './undo.ts';
import { selectorsFor } from './selectors.ts';
import type { DeprovisionRequest } from './service.ts';

export interface DeprovisionDeps {
  readonly storage: FleetStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly proof: Proof;
}

/** What one transaction did, and what is still to come after its commit. */
interface Done {
  readonly receipt: Receipt;
  readonly ends: readonly CutEnd[];
}

export type Deprovision = (request: DeprovisionRequest, cause: Cause, within?: Within) => Promise<Receipt>;

/** More to write in the same transaction, such as the state of a run. */
export type Within = (transaction: FleetTransaction, receipt: Receipt) => Promise<void>;

/**
 * Shuts one device out: the block, its identities, its records and the receipt are written in one transaction, so it is
 * untouched or wholly out. Then its sessions are cut and timed, and every door is tried.
 */
export function createDeprovision(deps: DeprovisionDeps): Deprovision {
  return async (request, given, within) => {
    checkEndsLater(request.expiresAt, deps.clock);
    const cause = because(given, request);
    let committedAt = deps.clock.now();
    const work = async (transaction: FleetTransaction): Promise<Done> => {
      // The first thing after the commit, before anything that it sets off.
      transaction.afterCommit(() => (committedAt = deps.clock.now()));
      const done = await shutOut(deps, transaction, { request, cause });
      await within?.(transaction, done.receipt);
      if (request.dryRun === true) throw new DryRun(done);
      return done;
    };
    const { receipt, ends } = await dryly<Done>(() => deps.storage.write(work, cause));
    if (receipt.alreadyDone === true) return receipt;
    const cuts = request.dryRun === true ? [] : await Promise.all(ends.map((end) => end()));
    const proof = request.dryRun === true ? {} : { proof: await deps.proof(request.device) };
    const complete = { ...receipt, ...(cuts.length === 0 ? {} : { timeToRevoke: timeOf(cuts, committedAt) }), ...proof };
    const { id } = complete;
    if (id !== undefined && request.dryRun !== true)
      await deps.storage.write(({ receipts }) => receipts.amend(id, complete as unknown as Json));
    deps.log.info('fleet.deprovisioned', {
      receipt: id,
      device: receipt.device,
      mode: request.mode,
      dryRun: request.dryRun === true,
      milliseconds: complete.timeToRevoke?.milliseconds,
    });
    return complete;
  };
}

interface Order {
  readonly request: DeprovisionRequest;
  readonly cause: Cause;
}

async function shutOut(deps: DeprovisionDeps, transaction: FleetTransaction, order: Order): Promise<Done> {
  const { request } = order;
  const device = await findDevice(transaction, request.device);
  if (!isKnownDevice(device) && device.chain === undefined && request.evenIfUnknown !== true) throw unknown(request.device);
  const id = sortableId('receipt', deps);
  const revocations = createRevocations(deps, transaction);
  const blocking = await writeBlock(deps, transaction, { ...order, device, receiptId: id });
  const identities = await takeIdentities(revocations, device, request);
  const closing = await closeRecords(deps, transaction, device);
  const steps = [...blocking.steps, ...identities.steps, ...closing.steps];
  if (steps.length === 0) return { receipt: await earlierReceipt(transaction, blocking.block), ends: [] };
  const retired = request.mode === 'retire';
  const undo: UndoData = {
    ...(blocking.steps.length === 0 ? {} : { blockId: blocking.block.id }),
    records: closing.records,
    removed: retired ? [] : identities.removed,
    disabled: identities.disabled,
  };
  const receipt: Receipt = {
    ...(request.dryRun === true ? { dryRun: true } : { id }),
    kind: request.mode,
    device: device.name,
    asked: device.chain?.source === 'given' ? device.name : request.device,
    at: isoTime(deps.clock.now()),
    by: order.cause.by.name,
    reason: request.reason,
    ...(request.ticket === undefined ? {} : { ticket: request.ticket }),
    found: summarise(device, deps.bus),
    steps,
    block: summariseBlock(blocking.block),
    undo: undoOf(id, retired && identities.removed.length > 0),
  };
  await transaction.receipts.insert({
    id,
    kind: request.mode,
    device: device.name,
    createdBy: order.cause.by.name,
    createdAt: deps.clock.now(),
    body: receipt as unknown as Json,
    undo: undo as unknown as Json,
  });
  return { receipt, ends: [...identities.ends, revocations.cutCovered(blocking.block.selectors.map(({ key }) => key))] };
}

async function writeBlock(
  deps: DeprovisionDeps,
  { blocks }: FleetTransaction,
  { request, cause, device, receiptId }: Order & { readonly device: FoundDevice; readonly receiptId: string },
): Promise<{ readonly block: Block; readonly steps: readonly Step[] }> {
  const selectors = selectorsFor(device, request.by);
  const now = deps.clock.now();
  const standing = (await blocks.matching(selectors.map(({ key }) => key))).find(
    (block) =>
      block.readmission === undefined &&
      (block.expiresAt === undefined || block.expiresAt > now) &&
      block.expiresAt === request.expiresAt &&
      selectors.every(({ key }) => block.selectors.some((named) => named.key === key)),
  );
  if (standing !== undefined) return { block: standing, steps: [] };
  const { reason, ticket, expiresAt } = request;
  const block: Block = {
    id: sortableId('block', deps),
    selectors,
    reason,
    createdBy: cause.by.name,
    createdAt: now,
    receiptId,
    ...(ticket === undefined ? {} : { ticket }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
  await blocks.insert(block);
  const named = selectors.map(({ kind, value }) => `${kind} ${value}`).join(', ');
  const until = expiresAt === undefined ? '' : ` It ends at ${isoTime(expiresAt)}.`;
  const steps: Step[] = [{ what: 'block-written', sentence: `Block ${block.id} names ${named}.${until}` }];
  const isAboutKey = request.by === undefined || request.by.includes('key');
  if (isAboutKey && device.keySharers.length > 0)
    steps.push({ what: 'key-shared', sentence: sharedSentence(device.keySharers, selectors) });
  return { block, steps };
}

function sharedSentence(sharers: readonly string[], selectors: readonly Selector[]): string {
  const others = `${sharers.slice(0, 3).join(', ')}${sharers.length > 3 ? ' and others' : ''}`;
  return selectors.some(({ kind }) => kind === 'publicKey')
    ? `Its key is shared by ${others}: the block shuts them out, too.`
    : `Its key is shared by ${others}, so the block does not name it. Whoever has the key may still come as one of them.`;
}

interface Taken {
  readonly steps: readonly Step[];
  readonly removed: readonly IdentitySnapshot[];
  readonly disabled: readonly DeviceRow[];
  readonly ends: readonly CutEnd[];
}

async function takeIdentities(revocations: Revocations, { identities }: FoundDevice, request: DeprovisionRequest): Promise<Taken> {
  const taken = { steps: [] as Step[], removed: [] as IdentitySnapshot[], disabled: [] as DeviceRow[], ends: [] as CutEnd[] };
  for (const { hub, device } of identities) {
    const where = `${device.deviceId} at ${hub.name}`;
    if (request.identity === 'disable' && device.status === 'enabled') {
      taken.ends.push(await revocations.disable(device, request.reason));
      taken.disabled.push(device);
      taken.steps.push({ what: 'identity-disabled', sentence: `Identity ${where} is disabled.` });
    }
    if (request.identity === 'remove') {
      const { snapshot, ended } = await revocations.remove(device);
      taken.ends.push(ended);
      taken.removed.push(snapshot);
      const kept = request.mode === 'retire' ? '' : ' Identity and twin are kept for a reinstatement.';
      taken.steps.push({ what: 'identity-removed', sentence: `Identity ${where} is removed.${kept}` });
    }
    if (request.mode === 'retire') taken.steps.push(...(await erase(revocations, device, where)));
  }
  return taken;
}

/** The twin and whatever was queued go with the identity; telemetry does not. */
async function erase(revocations: Revocations, device: DeviceRow, where: string): Promise<readonly Step[]> {
  const messages = await revocations.erase(device);
  return [
    { what: 'twin-erased', sentence: `The twin of ${where} and what was queued for it are erased; they cannot come back.` },
    { what: 'telemetry-erased', sentence: `${messages} stored messages of ${where} are erased.` },
  ];
}

async function closeRecords(
  { ids, clock }: DeprovisionDeps,
  { registrations }: FleetTransaction,
  { records }: FoundDevice,
): Promise<{ readonly steps: readonly Step[]; readonly records: UndoData['records'] }> {
  const open = records.filter(({ status }) => status !== 'disabled');
  const closed: UndoData['records'][number][] = [];
  for (const before of open) {
    const closedEtag = ids.etag();
    await registrations.put({ ...before, status: 'disabled', etag: closedEtag, updatedAt: clock.now() });
    closed.push({ before, closedEtag });
  }
  const steps = open.map(({ instance, registrationId }): Step => {
    return { what: 'record-closed', sentence: `The registration record ${registrationId} of ${instance} says disabled.` };
  });
  return { steps, records: closed };
}

/** Nothing was left to do: what was done is said by the receipt of then. */
async function earlierReceipt({ receipts }: FleetTransaction, block: Block): Promise<Receipt> {
  const row = block.receiptId === undefined ? undefined : await receipts.get(block.receiptId);
  if (row !== undefined) return { ...(row.body as unknown as Receipt), alreadyDone: true };
  throw new ServiceError('ResourceExists', `The device is shut out already, by block ${block.id}, which was written by itself.`);
}

function timeOf(cuts: readonly (CutResult | undefined)[], committedAt: Instant): TimeToRevoke {
  // A session that several cuts met counts once.
  const sessions = [...new Map(cuts.flatMap((cut) => cut?.closed ?? []).map((closed) => [closed.session, closed])).values()];
  const transports = [...new Set(sessions.map(({ transport }) => transport))].toSorted();
  const longest = (of: typeof sessions): number => Math.max(0, ...of.map(({ elapsedMilliseconds }) => elapsedMilliseconds));
  return {
    committedAt: isoTime(committedAt),
    sessions: sessions.length,
    milliseconds: longest(sessions),
    perTransport: transports.map((transport) => {
      const own = sessions.filter((session) => session.transport === transport);
      return { transport, sessions: own.length, milliseconds: longest(own) };
    }),
  };
}

export function summariseBlock({ id, selectors, reason, ticket, expiresAt }: Block): BlockSummary {
  return {
    id,
    selectors: selectors.map(({ kind, value }) => ({ kind, value })),
    reason,
    ...(ticket === undefined ? {} : { ticket }),
    ...(expiresAt === undefined ? {} : { expiresAt: isoTime(expiresAt) }),
  };
}

function undoOf(id: string, erased: boolean): Undo {
  const command = `muster reinstate ${id}`;
  if (!erased)
    return { possible: true, sentence: 'The block is lifted, and identities, twins and records come back as they were.', command };
  return {
    possible: true,
    sentence: 'The block can be lifted. What was erased stays erased: the device registers anew and gets a fresh identity and twin.',
    command,
  };
}

function unknown(asked: string): ServiceError {
  return new ServiceError(
    'ResourceNotFound',
    `Nothing is known of ${asked.slice(0, 128)}: no registration, no identity, no enrollment. Check the spelling, or ask for a block of what is unknown (--even-if-unknown).`,
  );
}
