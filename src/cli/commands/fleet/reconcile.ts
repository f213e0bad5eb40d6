import { type Drift, type DriftKind, driftKinds, type Mended } from '../../../contracts/fleet/drift.ts';
import type { Json, JsonObject } from '../../../kernel/json.ts';
import { type MusterApi, openMusterApi } from '../../client/muster-api.ts';
import type { CommandContext } from '../../context.ts';
import { exitCodes, usageError } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { choiceList, flag, text } from '../../grammar/option.ts';
import { createPage, type Mark, type Page } from '../../output/page.ts';

type Finding = Drift & Partial<Pick<Mended, 'outcome'>>;

interface Wanted {
  readonly fix: boolean;
  readonly dryRun: boolean;
  readonly kinds: readonly DriftKind[] | undefined;
  readonly reason: string | undefined;
  readonly ticket: string | undefined;
}

export const reconcile = defineLiveCommand({
  name: 'reconcile',
  summary: 'List what has come apart: records, identities, links, denies and thumbprints that do not fit each other.',
  details:
    'With --fix it mends what is safe, each in a transaction of its own: it deletes records that lead nowhere, unlinks hubs that are not there, and deletes blocks that have ended. Nobody gains or loses access by it. The rest is for a person to decide, and each line says how.',
  examples: [
    { text: 'See what has come apart.', command: 'reconcile' },
    { text: 'Mend what is safe, and say why in the audit trail.', command: 'reconcile --fix --reason "spring clean" --ticket OPS-12' },
    { text: 'Records whose device is gone, as a table.', command: 'reconcile --kind record-without-device -o table' },
    {
      text: 'Identities that lost their record, as a list for deprovision.',
      command: 'reconcile --kind device-without-record --query "[].subject.id" -o tsv',
    },
  ],
  options: {
    fix: flag(['--fix'], 'Mend what is safe.'),
    dryRun: flag(['--dry-run'], 'With --fix: go through everything, show it, and write nothing.'),
    kinds: choiceList(['--kind', '-k'], driftKinds, 'Only of these kinds. Default: all.'),
    reason: text(['--reason', '-r'], 'With --fix: why; kept in the audit trail.'),
    ticket: text(['--ticket'], 'With --fix: ticket or case that it belongs to.'),
  },
  async run({ fix = false, dryRun = false, kinds, reason, ticket }, context) {
    if (!fix && (dryRun || reason !== undefined || ticket !== undefined))
      throw usageError('--dry-run, --reason and --ticket go with --fix.');
    const api = await openMusterApi(context);
    const pages = findings(api, { fix, dryRun, kinds, reason, ticket });
    return context.isForProgram ? { value: await collect(pages, context) } : await show(pages, context);
  },
});

/** Page by page, so that a list of any length costs no more memory than one of them. */
async function* findings(api: MusterApi, { fix, dryRun, kinds, ...why }: Wanted): AsyncGenerator<readonly Finding[]> {
  let after: string | undefined;
  do {
    const page = fix
      ? await sendMend(api, { kinds, dryRun, ...why, after })
      : await api.send({ method: 'GET', path: `/drift?${queryOf(kinds, after)}` });
    // The service answers in this shape.
    const { items, next } = page as unknown as { readonly items: readonly Finding[]; readonly next?: string };
    yield items;
    after = next;
  } while (after !== undefined);
}

const perPage = 1000;

function queryOf(kinds: readonly DriftKind[] | undefined, after: string | undefined): string {
  const query = new URLSearchParams({ top: String(perPage) });
  if (kinds !== undefined) query.set('kind', kinds.join(','));
  if (after !== undefined) query.set('after', after);
  return query.toString();
}

async function sendMend(api: MusterApi, request: Omit<Wanted, 'fix'> & { readonly after: string | undefined }): Promise<Json> {
  const given = Object.entries(request).filter(([, value]) => value !== undefined);
  return await api.send({ method: 'POST', path: '/drift/mend', body: { top: perPage, ...(Object.fromEntries(given) as JsonObject) } });
}

async function collect(pages: AsyncIterable<readonly Finding[]>, context: CommandContext): Promise<Json> {
  const all: Finding[] = [];
  for await (const page of pages) all.push(...page);
  // What a table is about is nested, where a table does not look.
  const rows = context.output === 'table' && !context.isQueried ? all.map(tableRow) : all;
  return rows as unknown as Json;
}

function tableRow({ kind, subject: { type, id, scope }, outcome, mendable, sentence }: Finding): object {
  return {
    kind,
    mend: outcome ?? (mendable ? 'with --fix' : 'by hand'),
    subject: scope === undefined ? `${type} ${id}` : `${type} ${id} of ${scope}`,
    what: sentence,
  };
}

async function show(pages: AsyncIterable<readonly Finding[]>, context: CommandContext): Promise<number> {
  const page = createPage(context.print, context.environment);
  const counts = { mended: 0, mendable: 0, byHand: 0 };
  for await (const items of pages) {
    for (const finding of items) {
      const { outcome, mendable } = finding;
      if (outcome === 'mended') counts.mended += 1;
      else if (outcome !== 'gone') counts[mendable ? 'mendable' : 'byHand'] += 1;
      showFinding(finding, page);
    }
  }
  const { mended, mendable, byHand } = counts;
  if (mended + mendable + byHand === 0) {
    page.item('good', 'Everything fits together.');
    return exitCodes.ok;
  }
  page.gap();
  if (mended > 0) page.item('good', `${mended} mended.`);
  if (mendable > 0) page.item('bad', `${mendable} to be mended by 'muster reconcile --fix'.`);
  if (byHand > 0) page.item('unknown', `${byHand} for a person to decide.`);
  return exitCodes.ok;
}

const outcomeMarks = { mended: 'good', 'would-mend': 'bad', left: 'unknown', gone: 'plain' } as const satisfies Record<
  Mended['outcome'],
  Mark
>;

function showFinding({ kind, subject: { type, id, scope }, sentence, mendable, remedy, outcome }: Finding, page: Page): void {
  page.heading(`${type} ${id}${scope === undefined ? '' : ` of ${scope}`}`);
  page.fact('drift', kind);
  page.item(outcome === undefined ? (mendable ? 'bad' : 'unknown') : outcomeMarks[outcome], sentence);
  page.item(
    'plain',
    outcome === 'gone'
      ? 'It was put in order meanwhile, and is left as it is.'
      : `${mendable && outcome === undefined ? '--fix: ' : ''}${remedy}`,
  );
}
