import type { AuditEntry } from '../../../contracts/audit/audit-entry.ts';
import type { Json } from '../../../kernel/json.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { integer, required } from '../../grammar/option.ts';
import { auditFilter, auditQuery } from './filter.ts';

const usualEntries = 100;

export const auditList = defineCommand({
  name: 'audit list',
  summary: 'List changes, the newest first: who, when, from where, what and why.',
  details:
    'Every change is in the trail since the transaction that made it. Secrets are masked: a key shows as a fingerprint that differs when the key does.',
  examples: [
    { text: 'What happened to a device.', command: 'audit list sensor-thl-002 -o table' },
    { text: 'What an operator did in the last eight hours.', command: 'audit list --actor Ada --since 8h' },
    { text: 'Who deleted identities of a hub, and why.', command: 'audit list --action device.delete --scope hub-local -o table' },
    {
      text: 'The devices that a policy deleted, as text for a script.',
      command: 'audit list --actor iothubowner --action device.delete --query "[].resource.id" -o tsv',
    },
  ],
  options: { ...auditFilter, top: integer(['--top'], 'At most so many entries.', { defaultText: String(usualEntries) }) },
  async run(values, context) {
    const wanted = values.top ?? usualEntries;
    if (wanted < 1) throw usageError('argument --top: must be 1 or more.');
    const api = await openMusterApi(context);
    const entries: Json[] = [];
    let after: string | undefined;
    do {
      const query = auditQuery(values, { top: String(Math.min(wanted - entries.length, 1000)), after });
      const page = await api.send({ method: 'GET', path: `/audit?${query}` });
      const { items, next } = page as { readonly items: readonly Json[]; readonly next?: string };
      entries.push(...items);
      after = next;
    } while (after !== undefined && entries.length < wanted);
    // What a table is about is nested, where a table does not look.
    return context.output === 'table' && !context.isQueried ? entries.map((entry) => tableRow(entry as unknown as AuditEntry)) : entries;
  },
});

/** The columns in their order, which is that of the alphabet. */
function tableRow({ sequence, at, actor, action, resource, reason, ticket }: AuditEntry): Json {
  const scope = resource.scope === undefined ? '' : ` of ${resource.scope}`;
  return {
    action,
    at,
    by: `${actor.name} (${actor.kind})`,
    entry: sequence,
    from: actor.origin?.address ?? '',
    resource: `${resource.id}${scope}`,
    why: [reason, ticket].filter((word) => word !== undefined).join(', '),
  };
}

export const auditShow = defineCommand({
  name: 'audit show',
  summary: 'Show one change with what was before and after it.',
  examples: [{ text: 'Show a change.', command: 'audit show 42' }],
  options: { entry: required(integer(['--entry', '--sequence'], 'Number of the entry.', { positional: true })) },
  run: async ({ entry }, context) => await (await openMusterApi(context)).send({ method: 'GET', path: `/audit/${entry}` }),
});

export const auditHead = defineCommand({
  name: 'audit head',
  summary: 'Show the end of the audit trail. Kept elsewhere, it proves later that nothing before it was taken away.',
  examples: [{ text: "Note the end, for a check with 'audit verify --head' next year.", command: 'audit head --query hash -o tsv' }],
  options: {},
  run: async (_values, context) => await (await openMusterApi(context)).send({ method: 'GET', path: '/audit/head' }),
});
