import type { CommandContext } from '../context.ts';

/** Why something is changed, for the audit trail: `MUSTER_REASON` and `MUSTER_TICKET`, since az's commands have no option for it. */
export function reasonHeaders({ environment: { env } }: Pick<CommandContext, 'environment'>): Readonly<Record<string, string>> {
  const { MUSTER_REASON: reason, MUSTER_TICKET: ticket } = env;
  return {
    ...(reason ? { 'x-muster-reason': encodeURIComponent(reason) } : {}),
    ...(ticket ? { 'x-muster-ticket': encodeURIComponent(ticket) } : {}),
  };
}
