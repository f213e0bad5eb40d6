import type { Flip, Forecast, Outlook } from '../../contracts/fleet/what-if.ts';
import { assertNever } from '../../kernel/assert-never.ts';
import { errorTable } from '../../kernel/error-table.ts';
import type { EnrollmentRow } from '../../provisioning/ports.ts';
import type { KnownDevice } from '../../provisioning/rehearsal/known-devices.ts';
import type { Foreseen, Rehearsal } from '../../provisioning/rehearsal/rehearsal.ts';

/** What the next registration of a device comes to. */
export async function foretellRegistration(rehearsal: Rehearsal, device: KnownDevice): Promise<Outlook> {
  const { registrationId, credential } = device;
  const instance = device.instance;
  for (const presented of credential.shown) {
    const { outcome } = await rehearsal.foretell({ instance, registrationId, presented });
    // A TPM that passes its challenge shows what it has got.
    if (outcome.kind === 'challenge' && presented !== credential.shown.at(-1)) continue;
    return outlookOf(outcome, credential.isOwn);
  }
  throw new Error('a device was asked about that shows nothing');
}

function outlookOf(outcome: Foreseen, isOwn: boolean): Outlook {
  // Whoever it is that asks, the id alone is refused.
  if (!isOwn && outcome.kind !== 'disabled') return unknown;
  switch (outcome.kind) {
    case 'assigned': {
      const { entry, hubHostName, deviceId, dependsOnAddress } = outcome;
      if (dependsOnAddress) return { kind: 'webhook', ...entryOf(entry), deviceId, why: 'its hub follows from where it calls from' };
      return { kind: 'assigned', hub: hubHostName, deviceId, ...entryOf(entry) };
    }
    case 'webhook':
      return { kind: 'webhook', ...entryOf(outcome.entry), why: `its hub is chosen by the webhook of ${outcome.entry.id}` };
    case 'failed':
      return { kind: 'failed', ...entryOf(outcome.entry), errorCode: outcome.errorCode, why: outcome.why };
    case 'challenge':
      return unknown;
    case 'disabled': {
      const { entry, block } = outcome;
      return { kind: 'disabled', ...(entry === undefined ? {} : entryOf(entry)), ...(block === undefined ? {} : { block: block.id }) };
    }
    case 'refused':
      return { kind: 'refused', errorCode: errorTable[outcome.error].code, why: outcome.why };
    default:
      return assertNever(outcome);
  }
}

const unknown: Outlook = { kind: 'unknown', why: 'what it shows was never kept' };

function entryOf({ kind, id }: EnrollmentRow): Pick<Outlook, 'entry'> {
  return { entry: { kind, id } };
}

/** One device before and after. */
export function compare(device: Pick<Forecast, 'device' | 'instance' | 'registration' | 'connection'>): Forecast {
  const ways = new Set(
    [device.registration, device.connection].flatMap((way) => (way === undefined ? [] : [flipOf(way.before, way.after)])),
  );
  return { ...device, flip: order.find((flip) => ways.has(flip)) ?? 'stays' };
}

/** What matters most comes first. */
const order: readonly Flip[] = ['shut-out', 'let-in', 'moves', 'unknown', 'differs', 'stays'];

function flipOf(before: Outlook, after: Outlook): Flip {
  if (before.kind === 'unknown' || after.kind === 'unknown') return 'unknown';
  if (isIn(before) !== isIn(after)) return isIn(before) ? 'shut-out' : 'let-in';
  if (before.kind === 'assigned' && after.kind === 'assigned' && before.hub?.toLowerCase() !== after.hub?.toLowerCase()) return 'moves';
  // Let in before and after, and the hub is anybody's guess on one side at least.
  if (before.kind !== after.kind && [before.kind, after.kind].includes('webhook')) return 'unknown';
  return isSame(before, after) ? 'stays' : 'differs';
}

const isIn = ({ kind }: Outlook): boolean => kind === 'assigned' || kind === 'webhook' || kind === 'connects';

/** Sentences may differ; what a device or an operator can tell does not. */
function isSame(a: Outlook, b: Outlook): boolean {
  return (
    a.kind === b.kind &&
    a.hub?.toLowerCase() === b.hub?.toLowerCase() &&
    a.deviceId === b.deviceId &&
    a.entry?.kind === b.entry?.kind &&
    a.entry?.id.toLowerCase() === b.entry?.id.toLowerCase() &&
    a.block === b.block &&
    a.errorCode === b.errorCode
  );
}
