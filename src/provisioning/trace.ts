import type { Json } from '../kernel/json.ts';
import type { Certificate } from '../pki/certificate.ts';
import { printable } from '../pki/printable.ts';
import type { PathVerdict } from '../pki/verify-path.ts';
import type { WebhookExchange } from './allocation/webhook.ts';
import type { EnrollmentRow } from './ports.ts';

/** What a step of a decision was about. */
export type TraceSubject = 'address' | 'credential' | 'common-name' | 'resource' | 'individual' | 'path' | 'group' | 'allocation';

/** `decided` ended the question, `passed` let it go on, `lost` dropped an entry out of it. */
export type TraceOutcome = 'decided' | 'passed' | 'lost';

/** One thing that was looked at, in order. `reason` is for programs and stable, `sentence` for people. */
export interface TraceStep {
  readonly subject: TraceSubject;
  readonly outcome: TraceOutcome;
  readonly reason: string;
  readonly sentence: string;
  readonly entry?: { readonly kind: 'individual' | 'group'; readonly id: string; readonly provisioningStatus: 'enabled' | 'disabled' };
  /** Leaf first, as far as it was built. */
  readonly path?: readonly { readonly subject: string; readonly sha256: string }[];
  /** What a webhook was asked and said. */
  readonly exchange?: WebhookExchange;
}

/** A step about an enrollment. */
export function entryStep(entry: EnrollmentRow, step: Pick<TraceStep, 'outcome' | 'reason' | 'sentence'>): TraceStep {
  const { kind, id, provisioningStatus } = entry;
  return { subject: kind, ...step, entry: { kind, id, provisioningStatus } };
}

/** The step that says what path validation found. */
export function pathStep(verdict: PathVerdict): TraceStep {
  const path = verdict.path.map(pathElement);
  if (!verdict.ok) return { subject: 'path', outcome: 'lost', reason: verdict.reason, sentence: verdict.detail, path };
  const anchor = verdict.path.at(-1);
  const sentence = `The certificate is trusted: ${verdict.path.length - 1} issuers lead from it to ${printable(anchor?.subject ?? '')}.`;
  return { subject: 'path', outcome: 'passed', reason: 'trusted', sentence, path };
}

/** Names an enrollment in a sentence. Its id keeps to a plain alphabet, so it may be quoted as it is. */
export function nameEntry({ kind, id }: Pick<EnrollmentRow, 'kind' | 'id'>): string {
  return kind === 'group' ? `enrollment group '${id}'` : `individual enrollment '${id}'`;
}

/** A trace as it is stored under its tracking id. */
export function renderTrace(verdict: string, steps: readonly TraceStep[]): Json {
  return { verdict, steps: steps.map(renderStep) };
}

function renderStep({ subject, outcome, reason, sentence, entry, path, exchange }: TraceStep): Json {
  return {
    subject,
    outcome,
    reason,
    sentence,
    ...(entry === undefined ? {} : { entry: { ...entry } }),
    ...(path === undefined ? {} : { path: path.map((element) => ({ ...element })) }),
    ...(exchange === undefined ? {} : { exchange: { ...exchange } }),
  };
}

function pathElement(certificate: Certificate): { readonly subject: string; readonly sha256: string } {
  return { subject: printable(certificate.subject), sha256: certificate.sha256 };
}
