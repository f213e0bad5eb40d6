import type { DenyName, TriedDoor } from '../../contracts/fleet/tripwire.ts';
import { idsOf } from '../../contracts/hub/identity-path.ts';
import type { EventSink } from '../../events/ports.ts';
import type { NewRefusal } from '../../refusals/ports.ts';
import type { FleetTransaction, TripwireRow } from '../ports.ts';
import { retryAfterSeconds } from './retry-hint.ts';

/** What noting an attempt takes of the transaction that stores the refusal. */
export type TripwireTransaction = Pick<
  FleetTransaction,
  'registrations' | 'devices' | 'receipts' | 'blocks' | 'enrollments' | 'tripwires'
> & { readonly events: EventSink };

/** Doors and addresses that are kept of one device; counts go on. */
const keptDoors = 40;
const keptAddresses = 10;

/**
 * Counts a refusal that a deny caused, for a device that was once registered here: only such devices have a row, so that
 * nobody can make the table grow by inventing names. In the transaction of the refusal, so that none is lost or counted twice.
 * An event goes out for the first attempt, for each tenfold, and for the first at another service or hub.
 */
export async function noteAttempt(transaction: TripwireTransaction, refusal: NewRefusal): Promise<void> {
  const { deny } = refusal;
  if (deny === undefined) return;
  const device = await onceRegistered(transaction, refusal);
  if (device === undefined) return;
  const before = await transaction.tripwires.get(device);
  const going = before !== undefined && (await isSamePeriod(transaction, before, refusal)) ? before : undefined;
  const row = next(going, { ...refusal, deny, device });
  await transaction.tripwires.put(row);
  if (!isNews(row, going)) return;
  const { attempts, proven, addresses } = row;
  const { side, place, transport, address, trackingId, at } = refusal;
  const tried = { side, place, transport, address, trackingId };
  const { kind, id } = deny;
  const data = { device, deny: { kind, id }, attempts, proven, addresses: [...addresses], last: tried };
  await transaction.events.append({ at, kind: 'tripwire', data });
}

/** The name under which its attempts are counted. */
async function onceRegistered({ registrations, devices, receipts }: TripwireTransaction, refusal: NewRefusal): Promise<string | undefined> {
  const { side, place } = refusal;
  const claimed = idsOf(refusal.deviceId).deviceId;
  if (side === 'provisioning') {
    const record = await registrations.get(place, claimed);
    // A record alone may be the trace of a refusal.
    if (record?.assignedHub !== undefined) return record.registrationId;
  } else {
    const [record] = await registrations.find({ deviceId: claimed });
    if (record !== undefined) return record.registrationId;
    const identity = await devices.get(place, claimed);
    if (identity !== undefined) return identity.deviceId;
  }
  const [receipt] = await receipts.list({ limit: 1, device: claimed });
  return receipt === undefined ? undefined : claimed;
}

/** Another deny begins anew, unless the one before still stands beside it. */
async function isSamePeriod(
  { blocks, enrollments }: TripwireTransaction,
  { deny: before }: TripwireRow,
  { deny, side, place }: NewRefusal,
): Promise<boolean> {
  if (deny?.kind === before.kind && deny.id === before.id) return true;
  if (before.kind === 'block') return (await blocks.get(before.id)) !== undefined;
  if (side === 'hub') return true;
  return (await enrollments.get('individual', place, before.id))?.provisioningStatus === 'disabled';
}

function next(before: TripwireRow | undefined, refusal: NewRefusal & { readonly deny: NewDeny; readonly device: string }): TripwireRow {
  const { device, at, side, place, transport, address, trackingId } = refusal;
  const { kind, id, proven } = refusal.deny;
  const tried = { side, place, transport };
  const isTried = (door: TriedDoor): boolean => door.side === side && door.place === place && door.transport === transport;
  const known = before?.doors.find(isTried);
  const doors = [...(before?.doors ?? []).filter((door) => !isTried(door)), { ...tried, attempts: (known?.attempts ?? 0) + 1 }];
  const addresses = [address, ...(before?.addresses ?? []).filter((other) => other !== address)].filter((one) => one !== '');
  return {
    device,
    deny: { kind, id },
    firstAt: before?.firstAt ?? at,
    lastAt: at,
    attempts: (before?.attempts ?? 0) + 1,
    proven: (before?.proven ?? 0) + (proven ? 1 : 0),
    doors: doors.slice(-keptDoors),
    addresses: addresses.slice(0, keptAddresses),
    trackingId,
  };
}

type NewDeny = NonNullable<NewRefusal['deny']>;

function isNews({ attempts, doors }: TripwireRow, before: TripwireRow | undefined): boolean {
  const last = doors.at(-1);
  const isKnownPlace = before?.doors.some(({ side, place }) => side === last?.side && place === last.place) === true;
  return !isKnownPlace || /^10*$/u.test(String(attempts));
}

/** What a device is to be told to wait that this deny refuses, if its attempts are counted. */
export function hintFor(row: TripwireRow | undefined, deny: DenyName): number | undefined {
  if (row?.deny.kind !== deny.kind || row.deny.id !== deny.id) return undefined;
  return retryAfterSeconds(row.attempts);
}
