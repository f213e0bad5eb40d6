import type { Cause } from '../audit/actor.ts';
import type { SessionBus } from '../hub/ports.ts';
import { createRevocations } from '../hub/revocation.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Json } from '../kernel/json.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { because } from './because.ts';
import { DryRun, dryly } from './dry-run.ts';
import { findDevice, summarise } from './found-device.ts';
import { sortableId } from './ids.ts';
import type { FleetStorage, FleetTransaction, ReceiptRow } from './ports.ts';
import type { Proof } from './proof.ts';
import type { Receipt, Step } from '../contracts/fleet/receipt.ts';
import { isoTime } from './iso-time.ts';
import type { UndoData } from './undo.ts';
import type { Fleet, ReinstateRequest } from './service.ts';

export interface ReinstateDeps {
  readonly storage: FleetStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly proof: Proof;
}

/** More receipts of one device than anybody wrote by hand. */
const receiptsOfDevice = 1000;

/** Undoes what the receipts of a device say, newest first, in one transaction; or lets one registration through. */
export function createReinstate(deps: ReinstateDeps): Fleet['reinstate'] {
  return async (request, given) => {
    const cause = because(given, request);
    const receipt = await dryly<Receipt>(() =>
      deps.storage.write(async (transaction) => {
        const done = await letIn(deps, transaction, { request, cause });
        if (request.dryRun === true) throw new DryRun(done);
        return done;
      }, cause),
    );
    const { id } = receipt;
    if (id === undefined) return receipt;
    const complete = { ...receipt, proof: await deps.proof(receipt.device) };
    await deps.storage.write(({ receipts }) => receipts.amend(id, complete as unknown as Json));
    deps.log.info('fleet.reinstated', { receipt: id, device: receipt.device, once: request.onceUntil !== undefined });
    return complete;
  };
}

interface Order {
  readonly request: ReinstateRequest;
  readonly cause: Cause;
}

async function letIn(deps: ReinstateDeps, transaction: FleetTransaction, { request, cause }: Order): Promise<Receipt> {
  const { clock } = deps;
  if (request.onceUntil !== undefined && request.onceUntil <= clock.now()) {
    throw new ServiceError('ArgumentInvalid', 'The moment until which one registration is let through has passed already.');
  }
  const rows = await openReceipts(transaction, request.device);
  const [newest] = rows;
  if (newest === undefined) throw nothingToUndo(request.device);
  const id = sortableId('receipt', deps);
  const device = await findDevice(transaction, newest.device);
  const steps: Step[] = [];
  for (const row of rows) steps.push(...(await undo(deps, transaction, { row, request, by: id })));
  const receipt: Receipt = {
    ...(request.dryRun === true ? { dryRun: true } : { id }),
    kind: 'reinstate',
    device: newest.device,
    asked: request.device,
    at: isoTime(clock.now()),
    by: cause.by.name,
    ...(request.reason === undefined ? {} : { reason: request.reason }),
    found: summarise(device, deps.bus),
    steps,
    undo: { possible: true, sentence: 'Shut the device out again.', command: `muster deprovision ${newest.device} --reason WHY` },
  };
  await transaction.receipts.insert({
    id,
    kind: 'reinstate',
    device: newest.device,
    createdBy: cause.by.name,
    createdAt: clock.now(),
    body: receipt as unknown as Json,
  });
  return receipt;
}

/** The receipt that was named, or all of the device that nobody has undone; newest first. */
async function openReceipts(transaction: FleetTransaction, asked: string): Promise<readonly ReceiptRow[]> {
  const isOpen = (row: ReceiptRow): boolean => row.kind !== 'reinstate' && row.undoneBy === undefined;
  const named = await transaction.receipts.get(asked);
  if (named !== undefined) return isOpen(named) ? [named] : [];
  const device = await findDevice(transaction, asked);
  const names = new Set([device.name, ...device.registrationIds, ...device.deviceIds].map((name) => name.toLowerCase()));
  const rows: ReceiptRow[] = [];
  for (const name of names) rows.push(...(await transaction.receipts.list({ limit: receiptsOfDevice, device: name })));
  return rows.filter(isOpen).toSorted((a, b) => (a.id < b.id ? 1 : -1));
}

interface Undoing {
  readonly row: ReceiptRow;
  readonly request: ReinstateRequest;
  readonly by: string;
}

async function undo(deps: ReinstateDeps, transaction: FleetTransaction, { row, request, by }: Undoing): Promise<readonly Step[]> {
  const data = row.undo as unknown as UndoData;
  const revocations = createRevocations(deps, transaction);
  const steps: Step[] = [];
  if (data.blockId !== undefined) steps.push(await openBlock(transaction, data.blockId, request));
  for (const before of data.disabled) {
    const where = `${before.deviceId} at ${before.hub}`;
    const enabled = await revocations.enable(before);
    steps.push(
      enabled
        ? { what: 'identity-enabled', sentence: `Identity ${where} has the status back that it had.` }
        : { what: 'left-alone', sentence: `Identity ${where} was changed or removed since, and is left as it is.` },
    );
  }
  // One registration brings the device an identity of its own; the old one stays with the receipt.
  if (request.onceUntil !== undefined) return steps;
  for (const snapshot of data.removed) {
    const where = `${snapshot.device.deviceId} at ${snapshot.device.hub}`;
    const restored = await revocations.restore(snapshot);
    steps.push(
      restored
        ? { what: 'identity-restored', sentence: `Identity ${where} is back with its twin, as it was.` }
        : { what: 'left-alone', sentence: `There is an identity ${where} again, and it is left as it is.` },
    );
  }
  steps.push(...(await restoreRecords(deps, transaction, { data, retired: row.kind === 'retire' })));
  await transaction.receipts.markUndone(row.id, by);
  return steps;
}

async function openBlock({ blocks }: FleetTransaction, blockId: string, { onceUntil }: ReinstateRequest): Promise<Step> {
  if ((await blocks.get(blockId)) === undefined) return { what: 'left-alone', sentence: `Block ${blockId} was lifted before.` };
  if (onceUntil === undefined) {
    await blocks.delete(blockId);
    return { what: 'block-lifted', sentence: `Block ${blockId} is lifted.` };
  }
  await blocks.setReadmission(blockId, { until: onceUntil });
  return { what: 'block-opened-once', sentence: `Block ${blockId} lets one registration through until ${isoTime(onceUntil)}.` };
}

async function restoreRecords(
  { ids, clock }: ReinstateDeps,
  { registrations }: FleetTransaction,
  { data, retired }: { readonly data: UndoData; readonly retired: boolean },
): Promise<readonly Step[]> {
  const steps: Step[] = [];
  for (const { before, closedEtag } of data.records) {
    const now = await registrations.get(before.instance, before.registrationId);
    const name = `${before.registrationId} of ${before.instance}`;
    // A device that asked while it was shut out got its record written again, still as disabled.
    const isOurs = now !== undefined && (now.etag === closedEtag || now.status === 'disabled');
    if (retired || !isOurs) {
      const why = retired ? 'Its identity is gone, so that it ends with the next registration.' : 'It was written or removed since.';
      steps.push({ what: 'left-alone', sentence: `The registration record ${name} stays as it is. ${why}` });
      continue;
    }
    await registrations.put({ ...before, etag: ids.etag(), updatedAt: clock.now() });
    steps.push({ what: 'record-restored', sentence: `The registration record ${name} says ${before.status} again.` });
  }
  return steps;
}

function nothingToUndo(asked: string): ServiceError {
  return new ServiceError(
    'ResourceNotFound',
    `No open receipt says that ${asked.slice(0, 128)} was deprovisioned. 'muster receipt list' shows what was done.`,
  );
}
