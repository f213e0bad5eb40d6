import { timingSafeEqual } from 'node:crypto';

import { deriveDeviceKey } from '../../access/device-key.ts';
import { isSignedBy, type SasToken } from '../../access/sas-token.ts';
import { isExpired } from '../../access/shared-access.ts';
import type { EnrollmentRow } from '../ports.ts';
import { entryStep, nameEntry, type TraceStep } from '../trace.ts';
import type { AdmissionQuestion, Attestation, GroupJudgement, Judgement, Proof } from './attestation.ts';
import { tokenFlaw } from './token-flaw.ts';

/** Attestation with a key: an individual one signs itself, the key of a group's device is derived from the group's (2.2). */
export const symmetricKey: Attestation = {
  type: 'symmetricKey',
  judgeIndividual,
  isTrusted: (question) => {
    const { presented, groups, at } = question;
    return (
      presented.kind === 'sas' &&
      !isExpired(presented.token.expiresAt, at) &&
      groups.some((entry) => matchOf(entry, question) !== undefined)
    );
  },
  canJudgeGroups: ({ presented }) => presented.kind === 'sas' && presented.tpm === undefined,
  judgeGroups,
};

type KeySlot = 'primary' | 'secondary';

function judgeIndividual(entry: EnrollmentRow, { presented, at }: AdmissionQuestion): Judgement {
  const { attestation } = entry;
  if (presented.kind !== 'sas' || attestation.type !== 'symmetricKey') {
    return no('credential-mismatch', `The ${nameEntry(entry)} asks for a token signed with its key, and none was presented.`);
  }
  const { primaryKey, secondaryKey } = attestation;
  const slot = signerOf(presented.token, { primary: primaryKey, secondary: secondaryKey });
  if (slot === undefined) return no('token-signature', `The token was not signed with a key of the ${nameEntry(entry)}.`);
  const flaw = tokenFlaw(presented.token, at);
  if (flaw !== undefined) return no(flaw.reason, flaw.sentence);
  const sentence = `The token was signed with the ${slot} key of the ${nameEntry(entry)}.`;
  return { ok: true, reason: 'key', sentence, proof: { type: 'symmetricKey', primaryKey, secondaryKey } };
}

/**
 * A token names no group, so the groups are tried in the order they come in, until the device's key, derived from one of
 * theirs, made the signature.
 *
 * A group that does not match costs six hashes of less than two hundred bytes, or ten when the registration id has
 * capitals: a refusal by a hundred groups, which is Azure's quota, several milliseconds of one core, once per request.
 * Whoever asks puts the likeliest first: for a device that has registered before, the first one matches.
 */
function judgeGroups(question: AdmissionQuestion): GroupJudgement {
  const { presented, groups, at } = question;
  if (presented.kind !== 'sas') throw new Error('groups were asked about without a token');
  const steps: TraceStep[] = [];
  for (const entry of groups) {
    const match = matchOf(entry, question);
    if (match === undefined) {
      steps.push(lostStep(entry, presented.token));
      continue;
    }
    const decider = denyAmong(question, match) ?? entry;
    const flaw = tokenFlaw(presented.token, at);
    const told = summarised(steps);
    if (flaw !== undefined) {
      const step = entryStep(decider, { outcome: 'decided', ...flaw });
      return { steps: [...told, step], decision: { kind: 'refuse', message: 'Unauthorized', detail: flaw.sentence } };
    }
    return { steps: [...told, decidedStep(decider, match)], decision: decide(decider, match) };
  }
  const detail =
    'No enrollment group has a key from which the key of this device is derived, and no individual enrollment has this registration id.';
  return { steps: summarised(steps), decision: { kind: 'refuse', message: 'Unauthorized', detail } };
}

interface Match {
  /** The group's own key. */
  readonly groupKey: Uint8Array;
  readonly slot: KeySlot;
  readonly proof: Extract<Proof, { type: 'symmetricKey' }>;
}

/**
 * Whether a derived key of the group made the signature. The id is hashed as the device spells it, then in lower case:
 * ids ignore case, and documentation writes them so.
 */
function matchOf(entry: EnrollmentRow, { presented, registrationId }: AdmissionQuestion): Match | undefined {
  const { attestation } = entry;
  if (presented.kind !== 'sas' || attestation.type !== 'symmetricKey') return undefined;
  const decoded = decodedKeys(entry, attestation);
  for (const id of new Set([registrationId, registrationId.toLowerCase()])) {
    const derived = { primary: deriveDeviceKey(decoded.primary, id), secondary: deriveDeviceKey(decoded.secondary, id) };
    const slot = signerOf(presented.token, derived);
    if (slot === undefined) continue;
    const groupKey = decoded[slot];
    return { groupKey, slot, proof: { type: 'symmetricKey', primaryKey: derived.primary, secondaryKey: derived.secondary } };
  }
  return undefined;
}

/** Rows of groups live as long as nothing about groups changes, so their keys are decoded once. */
const decodedByRow = new WeakMap<EnrollmentRow, Readonly<Record<KeySlot, Uint8Array>>>();

function decodedKeys(
  entry: EnrollmentRow,
  { primaryKey, secondaryKey }: { readonly primaryKey: string; readonly secondaryKey: string },
): Readonly<Record<KeySlot, Uint8Array>> {
  const known = decodedByRow.get(entry);
  if (known !== undefined) return known;
  const decoded = { primary: Buffer.from(primaryKey, 'base64'), secondary: Buffer.from(secondaryKey, 'base64') };
  decodedByRow.set(entry, decoded);
  return decoded;
}

/** Both are always tried, in constant time each. */
function signerOf(token: SasToken, keys: Readonly<Record<KeySlot, string>>): KeySlot | undefined {
  const [primary, secondary] = [isSignedBy(token, [keys.primary]), isSignedBy(token, [keys.secondary])];
  if (primary) return 'primary';
  return secondary ? 'secondary' : undefined;
}

/**
 * Groups may share a key, and then a device belongs to each of them. Deny wins, whichever is tried first. Bytes are compared,
 * since base64 spells the same ones in more than one way.
 */
function denyAmong({ groups }: AdmissionQuestion, { groupKey }: Match): EnrollmentRow | undefined {
  return groups.find((entry) => {
    const { attestation, provisioningStatus } = entry;
    if (provisioningStatus !== 'disabled' || attestation.type !== 'symmetricKey') return false;
    const { primary, secondary } = decodedKeys(entry, attestation);
    return [isSameKey(primary, groupKey), isSameKey(secondary, groupKey)].includes(true);
  });
}

function isSameKey(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function decide(entry: EnrollmentRow, { proof }: Match): GroupJudgement['decision'] {
  return entry.provisioningStatus === 'disabled' ? { kind: 'disabled', entry } : { kind: 'admit', entry, proof };
}

function decidedStep(entry: EnrollmentRow, { slot }: Match): TraceStep {
  const signed = `The token was signed with the key that is derived from the ${slot} key of the ${nameEntry(entry)}`;
  return entry.provisioningStatus === 'disabled'
    ? entryStep(entry, { outcome: 'decided', reason: 'disabled', sentence: `${signed}, which is disabled.` })
    : entryStep(entry, { outcome: 'decided', reason: 'derived-key', sentence: `${signed}.` });
}

function lostStep(entry: EnrollmentRow, token: SasToken): TraceStep {
  const { attestation } = entry;
  if (attestation.type !== 'symmetricKey') {
    const sentence = `The ${nameEntry(entry)} asks for a certificate, and none was presented.`;
    return entryStep(entry, { outcome: 'lost', reason: 'credential-mismatch', sentence });
  }
  if (isSignedBy(token, [attestation.primaryKey, attestation.secondaryKey])) {
    const sentence = `The token was signed with the own key of the ${nameEntry(entry)}, which lets nobody in. Derive the key of this device from it.`;
    return entryStep(entry, { outcome: 'lost', reason: 'group-key-used-directly', sentence });
  }
  const sentence = `The token was not signed with a key that is derived from those of the ${nameEntry(entry)}.`;
  return entryStep(entry, { outcome: 'lost', reason: 'token-signature', sentence });
}

/** As many as Azure allows groups with a key. */
const tracedGroups = 100;

/** A step for each group up to `tracedGroups`; the rest is counted, so that a stranger cannot make reasons of any length. */
function summarised(steps: readonly TraceStep[]): readonly TraceStep[] {
  if (steps.length <= tracedGroups) return steps;
  // What an operator can act upon is never among those that are only counted.
  const kept = steps.toSorted((a, b) => weight(b) - weight(a)).slice(0, tracedGroups);
  const sentence = `Nor was it signed with a key that is derived from those of ${steps.length - tracedGroups} other enrollment groups.`;
  return [...kept, { subject: 'group', outcome: 'lost', reason: 'token-signature', sentence }];
}

const weight = ({ reason }: TraceStep): number => (reason === 'group-key-used-directly' ? 1 : 0);

function no(reason: string, sentence: string): Judgement {
  return { ok: false, message: 'Unauthorized', reason, sentence };
}
