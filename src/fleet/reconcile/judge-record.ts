import type { Drift, DriftSubject } from '../../contracts/fleet/drift.ts';
import type { EntryGlance, IdentityGlance, RecordGlance } from '../ports.ts';

/** A registration record with everything that it refers to, as far as it is there. */
export interface RecordSituation {
  readonly record: RecordGlance;
  /** The name of the hub that it names. */
  readonly hub?: string;
  /** Whether that hub is linked to its provisioning service. */
  readonly isLinked: boolean;
  readonly identity?: IdentityGlance;
  readonly entry?: EntryGlance;
  /** Upper-case SHA-1 of the leaf that it registered with last, where the identity knows a certificate by its SHA-1. */
  readonly leafSha1?: string;
  /** Whether an open receipt would put it back as it was. */
  readonly isHeldByReceipt: boolean;
  /** Whether a deny keeps its device out; asked only where no identity is left. */
  readonly isShutOut: boolean;
}

/**
 * What has come apart about a record. Pure. A record that is being assigned is on its way and never drift; that of a device which
 * a deny keeps out is the memory of the deny, closed (`disabled`) or not, and needs no device.
 */
export function judgeRecord(situation: RecordSituation): readonly Drift[] {
  const { record } = situation;
  if (record.status === 'assigning') return [];
  const orphan = judgeEntry(situation);
  if (record.status !== 'assigned') return orphan;
  return [...orphan, ...judgeHome(situation), ...judgeThumbprints(situation)];
}

export function recordSubject({ instance, registrationId }: RecordGlance): DriftSubject {
  return { type: 'record', id: registrationId, scope: instance };
}

function judgeEntry({ record, entry, identity, isHeldByReceipt, isShutOut }: RecordSituation): readonly Drift[] {
  if (entry !== undefined) return [];
  const { registrationId, enrollmentKind, enrollmentId, deviceId } = record;
  const what = enrollmentKind === 'group' ? 'enrollment group' : 'individual enrollment';
  const found = {
    kind: 'record-without-enrollment',
    subject: recordSubject(record),
    sentence: `The ${what} '${enrollmentId}' that it came through is gone; the record counts against the quota.`,
  } as const;
  if (identity !== undefined) {
    const remedy = `Its device '${deviceId ?? registrationId}' can still connect to ${identity.hub}. Deprovision it, or enroll it again.`;
    return [{ ...found, mendable: false, remedy }];
  }
  if (isHeldByReceipt) {
    return [{ ...found, mendable: false, remedy: 'An open receipt would put it back. Retire the device for good, or delete the record.' }];
  }
  if (isShutOut) {
    const remedy = 'A deny keeps its device out, and what that tries is counted by the record. Delete the record when the deny goes.';
    return [{ ...found, mendable: false, remedy }];
  }
  return [{ ...found, mendable: true, remedy: 'The record is deleted: no entry and no identity belongs to it any more.' }];
}

function judgeHome({ record, hub, isLinked, identity, entry, isShutOut }: RecordSituation): readonly Drift[] {
  const { assignedHub = '', deviceId = '' } = record;
  const subject = recordSubject(record);
  if (hub === undefined || identity === undefined) {
    // Without its entry it is told of already, and the mend is the same.
    if (entry === undefined || isShutOut) return [];
    const sentence =
      hub === undefined
        ? `It is assigned to ${assignedHub}, and there is no such hub.`
        : `It is assigned to ${assignedHub} as '${deviceId}', and the hub has no such identity.`;
    const remedy = 'The record is deleted: it sends the device where nothing is, and its next registration makes both anew.';
    return [{ kind: 'record-without-device', subject, sentence, mendable: true, remedy }];
  }
  if (isLinked) return [];
  const sentence = `It is assigned to ${assignedHub}, which is not linked to ${record.instance} any more.`;
  const remedy = 'Link the hub again, or let the device register again: it is then assigned to a hub that is linked.';
  return [{ kind: 'dead-link', subject, sentence, mendable: false, remedy }];
}

/** Whoever holds a certificate gets in by it, so that nothing here is mended by guessing which of two is right. */
function judgeThumbprints({ record, identity, entry, leafSha1 }: RecordSituation): readonly Drift[] {
  const { leafSha256 } = record;
  if (identity?.authentication.type !== 'selfSigned' || leafSha256 === undefined) return [];
  const { primaryThumbprint, secondaryThumbprint } = identity.authentication;
  const accepted = [primaryThumbprint, secondaryThumbprint].filter((thumbprint) => thumbprint !== undefined);
  const found = { kind: 'thumbprint-differs', subject: recordSubject(record), mendable: false } as const;
  const where = `'${identity.deviceId}' at ${identity.hub}`;
  if (!accepted.includes(leafSha256) && (leafSha1 === undefined || !accepted.includes(leafSha1))) {
    const sentence = `It registered last with ${short(leafSha256)}, and the identity ${where} accepts ${accepted.map(short).join(' and ') || 'none'}.`;
    return [{ ...found, sentence, remedy: 'Let the device register again, or correct the identity. If nobody meant it, deprovision it.' }];
  }
  if (entry?.kind !== 'individual' || entry.leaves.length === 0 || entry.leaves.includes(leafSha256)) return [];
  const sentence = `The individual enrollment '${entry.id}' holds another certificate now; the identity ${where} still accepts ${short(leafSha256)}.`;
  const remedy = 'Let the device register with its new certificate, which replaces the old one at the hub, or correct the identity.';
  return [{ ...found, sentence, remedy }];
}

const short = (thumbprint: string): string => `${thumbprint.slice(0, 16)}…`;
