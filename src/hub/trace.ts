import type { BlockFinding } from '../blocks/rule.ts';
import type { Json } from '../kernel/json.ts';

/** One thing that was looked at when a device came to a hub, in order. As on the provisioning side. */
export interface HubTraceStep {
  readonly subject: 'identity' | 'credential' | 'block' | 'status' | 'session';
  readonly outcome: 'decided' | 'passed' | 'lost';
  readonly reason: string;
  readonly sentence: string;
  readonly block?: { readonly id: string; readonly selector: string; readonly reason: string; readonly ticket?: string };
}

export function hubBlockStep({ block, selector, outcome, sentence }: BlockFinding, decides: boolean): HubTraceStep {
  const { id, reason, ticket } = block;
  return {
    subject: 'block',
    outcome: decides ? 'decided' : 'lost',
    reason: outcome,
    sentence,
    block: { id, selector: selector.kind, reason, ...(ticket === undefined ? {} : { ticket }) },
  };
}

/** A trace as it is stored under its tracking id. */
export function renderHubTrace(steps: readonly HubTraceStep[]): Json {
  return {
    verdict: 'refuse',
    steps: steps.map(({ block, ...step }) => ({ ...step, ...(block === undefined ? {} : { block: { ...block } }) })),
  };
}
