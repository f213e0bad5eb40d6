import type { HubDecisionRow } from '../../hub/ports.ts';
import { type ErrorName, errorTable } from '../../kernel/error-table.ts';
import { isJsonObject, type Json } from '../../kernel/json.ts';
import type { DecisionRow } from '../../provisioning/ports.ts';
import type { FleetStorage } from '../ports.ts';
import { isoTime } from '../iso-time.ts';
import { hubWords, provisioningWords } from '../wire-words.ts';
import type { KeptDecision, TraceLine } from '../../contracts/fleet/explanation.ts';
import { remediesFor } from './remedies.ts';

/** Tracking ids are GUIDs; SDKs and logs write them with or without capitals and braces. */
const guid = /^\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?$/iu;

/** The decision that was kept under a tracking id, or that began an operation. */
export async function findKept(
  { decisions, hubDecisions }: Pick<FleetStorage['read'], 'decisions' | 'hubDecisions'>,
  asked: string,
): Promise<KeptDecision | undefined> {
  const trackingId = guid.exec(asked)?.[1]?.toLowerCase();
  const row = await decisions.get(trackingId ?? asked);
  if (row !== undefined) return fromProvisioning(row);
  const refused = trackingId === undefined ? undefined : await hubDecisions.get(trackingId);
  return refused && fromHub(refused);
}

const verdicts: Readonly<Record<string, string>> = { admit: 'let-in', disabled: 'disabled', refuse: 'refused' };

function fromProvisioning({ trackingId, instance, registrationId, at, transport, verdict, trace, operationId }: DecisionRow): KeptDecision {
  const lines = readTrace(trace);
  const answer = verdict === 'refuse' ? { error: errorOf(trace) } : ({ status: verdict === 'admit' ? 'assigned' : 'disabled' } as const);
  return {
    side: 'provisioning',
    trackingId,
    name: instance === '' ? '(unknown id scope)' : instance,
    id: registrationId,
    at: isoTime(at),
    transport,
    verdict: verdicts[verdict] ?? verdict,
    ...(operationId === undefined ? {} : { operationId }),
    trace: lines,
    says: provisioningWords(answer)[transport],
    remedies: verdict === 'admit' ? [] : remediesFor(lines),
  };
}

function errorOf(trace: Json): ErrorName {
  const error = isJsonObject(trace) ? trace['error'] : undefined;
  return typeof error === 'string' && Object.hasOwn(errorTable, error) ? (error as ErrorName) : 'DpsUnauthorized';
}

function fromHub({ trackingId, hub, deviceId, at, transport, error, trace }: HubDecisionRow): KeptDecision {
  const lines = readTrace(trace);
  const isNamed = Object.hasOwn(errorTable, error);
  return {
    side: 'hub',
    trackingId,
    name: hub,
    id: deviceId,
    at: isoTime(at),
    transport,
    verdict: 'refused',
    trace: lines,
    // A name of an older version may be gone from the table.
    ...(isNamed ? { says: hubWords(error as ErrorName)[transport] } : {}),
    remedies: remediesFor(lines),
  };
}

/** A stored trace as lines; what a later version wrote is shown as far as it is understood. */
function readTrace(trace: Json): readonly TraceLine[] {
  const steps = typeof trace === 'object' && trace !== null && 'steps' in trace ? trace.steps : [];
  return Array.isArray(steps) ? (steps as readonly TraceLine[]) : [];
}
