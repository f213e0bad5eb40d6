import type { Decision, Explanation } from '../../../contracts/fleet/explanation.ts';
import { judgeDevice } from '../../../hub/judge.ts';
import type { Clock, Instant } from '../../../kernel/clock.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import { findDevice, type FoundDevice } from '../../found-device.ts';
import { isoTime } from '../../iso-time.ts';
import type { FleetStorage } from '../../ports.ts';
import type { ExplainRequest } from '../../service.ts';
import { createOnStage, type OnStage, type Stage, type StageDeps } from '../../what-if/stage.ts';
import { explainDevice } from '../explain.ts';
import { type AuditReader, horizonOf, type History, readHistory } from './history.ts';
import { interestIn } from './interest.ts';
import { type Gaps, rebuild } from './rebuild.ts';

export interface ExplainAtDeps extends StageDeps {
  readonly storage: FleetStorage & { readonly read: { readonly audit: AuditReader } };
  readonly clock: Clock;
}

/**
 * The decision as it was at a moment: whatever the audit trail shows to have changed since is undone in a transaction, the code
 * that decides is asked with the clock of then, and the transaction is rolled back. Throws `ArgumentInvalid` for a moment of
 * which nothing is known.
 */
export function createExplainAt(deps: ExplainAtDeps): (request: ExplainRequest, asOf: Instant) => Promise<Explanation> {
  const onStage = createOnStage(deps);
  return async (request, asOf) => {
    await refuseUnknown(deps, asOf);
    const device = await findDevice(deps.storage.read, request.subject.trim());
    return await undisturbed(deps, { device, asOf }, (history) => ask({ onStage, request, asOf, device }, history));
  };
}

async function refuseUnknown({ storage, clock }: ExplainAtDeps, asOf: Instant): Promise<void> {
  if (asOf > clock.now()) throw new ServiceError('ArgumentInvalid', 'That moment is still to come. What would be then is told by what-if.');
  const horizon = await horizonOf(storage.read.audit, storage.read);
  if (horizon !== undefined && asOf < horizon) {
    throw new ServiceError('ArgumentInvalid', `How things were is not known before ${isoTime(horizon)}, where the audit trail begins.`);
  }
}

const attempts = 3;

/** Asks again when something that matters was changed between reading the trail and undoing it. */
async function undisturbed(
  { storage: { read }, clock }: ExplainAtDeps,
  { device, asOf }: { readonly device: FoundDevice; readonly asOf: Instant },
  work: (history: History) => Promise<Explanation>,
): Promise<Explanation> {
  for (let left = attempts; left > 0; left -= 1) {
    const started = clock.now();
    const history = await readHistory(read.audit, asOf, await interestIn(read, device));
    const explanation = await work(history);
    const since = started > asOf ? ((started - 1) as Instant) : asOf;
    const meanwhile = await readHistory(read.audit, since, await interestIn(read, device));
    if ([...meanwhile.sequences].every((sequence) => history.sequences.has(sequence))) {
      return { ...explanation, at: isoTime(clock.now()) };
    }
  }
  throw new ServiceError('ServerBusy', 'The device is being changed again and again. Ask later.', { retryAfterSeconds: 5 });
}

interface Asking {
  readonly onStage: OnStage;
  readonly request: ExplainRequest;
  readonly asOf: Instant;
  readonly device: FoundDevice;
}

async function ask({ onStage, request, asOf, device }: Asking, { formers }: History): Promise<Explanation> {
  return await onStage(async (stage) => {
    const gaps = await rebuild(stage.transaction, device, formers);
    const then = await findDevice(stage.transaction, request.subject.trim());
    // What it showed goes with its record; it is known all the same.
    const chain = device.chain ?? then.chain;
    const explanation = await explainDevice(doorsOf(stage, asOf), { ...then, ...(chain === undefined ? {} : { chain }) }, request);
    return {
      ...explanation,
      asOf: isoTime(asOf),
      decisions: explanation.decisions.map((decision) => (gaps.missing.size === 0 ? decision : doubted(decision))),
      notes: notesOn(gaps, explanation),
    };
  });
}

/** Both domains' doors, as the transaction and the clock of then have them. */
function doorsOf({ transaction, rehearsal, hub }: Stage, asOf: Instant): Parameters<typeof explainDevice>[0] {
  const clock = { now: () => asOf };
  const existed = ({ createdAt }: { readonly createdAt: Instant }): boolean => createdAt <= asOf;
  const instances = { ...transaction.instances, list: async () => (await transaction.instances.list()).filter(existed) };
  const hubs = { ...transaction.hubs, list: async () => (await transaction.hubs.list()).filter(existed) };
  return {
    storage: { read: { ...transaction, instances, hubs } },
    provisioning: { inquire: (inquiry) => rehearsal.foretell({ ...inquiry, asOf }) },
    hub: { judge: (inquiry) => judgeDevice({ storage: { read: hub.read }, trust: hub.trust, clock }, inquiry) },
    bus: { isConnected: () => false },
    clock,
  };
}

/** A deny that is known stands; whatever else was decided may have been decided by what is missing. */
function doubted(decision: Decision): Decision {
  if (decision.verdict === 'disabled') return decision;
  const { says: _guessed, ...rest } = decision;
  return { ...rest, verdict: 'unknown', basis: `${decision.basis}, and not everything is known` };
}

function notesOn({ keys, missing }: Gaps, { decisions }: Explanation): readonly string[] {
  return [
    ...missing,
    ...(keys.size === 0
      ? []
      : [`Keys are not in the audit trail: it is told what was decided for whoever signed with the right one of ${[...keys].join(', ')}.`]),
    ...(decisions.some(({ side }) => side === 'hub') ? ['Whether it was connected then, and what its modules were, is not known.'] : []),
    'The certificate is the one that is known now, unless you gave one; settings of the service, such as whether CAs must be verified, are those of now.',
  ];
}
