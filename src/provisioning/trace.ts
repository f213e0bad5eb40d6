import type { BlockFinding } from '../blocks/rule.ts';
import type { ErrorName } from '../kernel/error-table.ts';
import { isJsonObject, type Json } from '../kernel/json.ts';
import type { Certificate } from '../pki/certificate.ts';
import { printable } from '../pki/printable.ts';
import type { PathVerdict } from '../pki/verify-path.ts';
import type { WebhookExchange } from './allocation/webhook.ts';
import type { EnrollmentRow } from './ports.ts';

/** What a step of a decision was about. */
export type TraceSubject =
  | 'id-scope'
  | 'record'
  | 'address'
  | 'credential'
  | 'common-name'
  | 'resource'
  | 'block'
  | 'individual'
  | 'path'
  | 'group'
  | 'allocation'
  | 'quota';

/** `decided` ended the question, `passed` let it go on, `lost` dropped an entry out of it. */
export type TraceOutcome = 'decided' | 'passed' | 'lost';

/** One thing that was looked at, in order. `reason` is for programs and stable, `sentence` for people. */
export interface TraceStep {
  readonly subject: TraceSubject;
  readonly outcome: TraceOutcome;
  readonly reason: string;
  readonly sentence: string;
  readonly entry?: { readonly kind: 'individual' | 'group'; readonly id: string; readonly provisioningStatus: 'enabled' | 'disabled' };
  readonly block?: { readonly id: string; readonly selector: string; readonly reason: string; readonly ticket?: string };
  /** Leaf first, as far as it was built. */
  readonly path?: readonly { readonly subject: string; readonly sha256: string }[];
  /** What a webhook was asked and said. */
  readonly exchange?: WebhookExchange;
  /** Where the path broke, by SHA-256. */
  readonly brokenAt?: string;
}

/** A step about a block that names the peer. */
export function blockStep({ block, selector, outcome, sentence }: BlockFinding, decides: boolean): TraceStep {
  const { id, reason, ticket } = block;
  return {
    subject: 'block',
    outcome: decides ? 'decided' : 'lost',
    reason: outcome === 'covers' && !decides ? 'later' : outcome,
    sentence,
    block: { id, selector: selector.kind, reason, ...(ticket === undefined ? {} : { ticket }) },
  };
}

/** A step about an enrollment. */
export function entryStep(entry: EnrollmentRow, step: Pick<TraceStep, 'outcome' | 'reason' | 'sentence'>): TraceStep {
  const { kind, id, provisioningStatus } = entry;
  return { subject: kind, ...step, entry: { kind, id, provisioningStatus } };
}

/** The step that says what path validation found. */
export function pathStep(verdict: PathVerdict): TraceStep {
  const path = verdict.path.map(pathElement);
  if (!verdict.ok) {
    const { reason, detail, certificate } = verdict;
    return { subject: 'path', outcome: 'lost', reason, sentence: detail, path, brokenAt: certificate.sha256 };
  }
  const anchor = verdict.path.at(-1);
  const sentence = `The certificate is trusted: ${verdict.path.length - 1} issuers lead from it to ${printable(anchor?.subject ?? '')}.`;
  return { subject: 'path', outcome: 'passed', reason: 'trusted', sentence, path };
}

/** Names an enrollment in a sentence. Its id keeps to a plain alphabet, so it may be quoted as it is. */
export function nameEntry({ kind, id }: Pick<EnrollmentRow, 'kind' | 'id'>): string {
  return kind === 'group' ? `enrollment group '${id}'` : `individual enrollment '${id}'`;
}

/** A trace as it is stored under its tracking id. */
export function renderTrace(verdict: string, steps: readonly TraceStep[], error?: ErrorName): Json {
  return { verdict, ...(error === undefined ? {} : { error }), steps: steps.map(renderStep) };
}

/** A stored trace with one more step at its end. */
export function addStep(trace: Json, step: TraceStep): Json {
  if (!isJsonObject(trace) || !Array.isArray(trace.steps)) throw new Error('a stored trace has no steps');
  return { ...trace, steps: [...trace.steps, renderStep(step)] };
}

function renderStep({ subject, outcome, reason, sentence, entry, block, path, brokenAt, exchange }: TraceStep): Json {
  return {
    subject,
    outcome,
    reason,
    sentence,
    ...(entry === undefined ? {} : { entry: { ...entry } }),
    ...(block === undefined ? {} : { block: { ...block } }),
    ...(path === undefined ? {} : { path: path.map((element) => ({ ...element })) }),
    ...(exchange === undefined ? {} : { exchange: { ...exchange } }),
    ...(brokenAt === undefined ? {} : { brokenAt }),
  };
}

function pathElement(certificate: Certificate): { readonly subject: string; readonly sha256: string } {
  return { subject: printable(certificate.subject), sha256: certificate.sha256 };
}
