import type { Cause } from '../audit/actor.ts';
import type { AuditResource, ChangeRecorder } from '../audit/change.ts';
import type { Admitter, Readmission, ReadmissionGuard } from '../contracts/fleet/readmission.ts';
import type { Clock } from '../kernel/clock.ts';
import type { JsonObject } from '../kernel/json.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { EventSink } from './ports.ts';

/** A deny that goes, and whom that lets in. */
export interface LiftedDeny {
  readonly deny: AuditResource;
  readonly readmissions: readonly Readmission[];
  readonly clock: Clock;
  readonly cause: Cause;
  readonly guard?: ReadmissionGuard;
}

/** What of a transaction it takes to tell of them. */
export interface ReadmissionWriter {
  readonly changes: ChangeRecorder;
  readonly events: EventSink;
  afterCommit(effect: () => void): void;
}

/** Devices that are named one by one; of more, their number is told. */
const namedDevices = 10;

/**
 * Tells of the devices that a lifted deny lets in: the audit trail and the event in the transaction that lifts it, its guard
 * after the commit. Nothing for none. Throws `WouldReadmit` for a guard that wants it refused.
 */
export async function announceReadmissions(
  transaction: ReadmissionWriter,
  { deny, readmissions, clock, cause, guard }: LiftedDeny,
): Promise<void> {
  if (readmissions.length === 0) return;
  if (guard?.refuse === true) throw wouldReadmit(deny, readmissions);
  const readmits = readmissions.slice(0, namedDevices).map(({ device, by }): JsonObject => ({ device, by: { ...by } }));
  const after: JsonObject = { devices: readmissions.length, readmits };
  transaction.changes.record({ action: `${deny.kind}.readmit`, resource: deny, after });
  const { kind, id, scope } = deny;
  const data = { deny: { kind, id, ...(scope === undefined ? {} : { place: scope }) }, by: cause.by.name, ...after };
  await transaction.events.append({ at: clock.now(), kind: 'readmission', data });
  if (guard !== undefined) transaction.afterCommit(() => guard.tell(readmissions));
}

function wouldReadmit(deny: AuditResource, readmissions: readonly Readmission[]): ServiceError {
  const who = readmissions.slice(0, 3).map(({ device, by }) => `${device} is let in by the ${nameAdmitter(by)}`);
  const more = readmissions.length > who.length ? `, and ${readmissions.length - who.length} others come back` : '';
  const denyName = `${deny.kind.replace('-', ' ')} '${deny.id}'`;
  return new ServiceError('WouldReadmit', `Without the deny of the ${denyName}, ${who.join(', ')}${more}. Nothing was changed.`);
}

const admitterNames = { group: 'enrollment group', individual: 'individual enrollment', identity: 'identity' } as const;

function nameAdmitter({ kind, id, place }: Admitter): string {
  return kind === 'identity' ? `identity '${id}' at ${place}` : `${admitterNames[kind]} '${id}'`;
}
