import { setImmediate as nextTurn } from 'node:timers/promises';

import type { AuditFilter, AuditStore } from '../../../audit/ports.ts';
import type { AuditEntry } from '../../../contracts/audit/audit-entry.ts';
import { limits } from '../../../contracts/limits.ts';
import { type Instant, instant } from '../../../kernel/clock.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import type { Page } from '../../../kernel/page.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { FleetStorage } from '../../ports.ts';

export type AuditReader = Pick<AuditStore, 'list' | 'checkpoint'>;

/** What was there, as the audit trail shows it: nothing; a whole resource; or the one of now with some members otherwise. */
export type Was =
  | { readonly kind: 'absent' }
  | { readonly kind: 'whole'; readonly view: JsonObject }
  | { readonly kind: 'patched'; readonly put: JsonObject; readonly removed: ReadonlySet<string> };

/** One resource that has changed since. */
export interface Former {
  readonly resource: AuditEntry['resource'];
  readonly was: Was;
}

/** What has changed, and by which entries that is known. */
export interface History {
  readonly formers: readonly Former[];
  readonly sequences: ReadonlySet<number>;
}

/** Which changes matter. */
export interface Interest {
  readonly filters: readonly Pick<AuditFilter, 'resource' | 'resourceKind'>[];
  /** Called newest first. */
  readonly isOf: (entry: AuditEntry) => boolean;
}

const entriesPerRead = 500;

/**
 * Undoes, in thought, what was changed after a moment: newest first, each change gives back what was before it. Throws
 * `ArgumentInvalid` when there is too much of it.
 */
export async function readHistory(audit: AuditReader, after: Instant, { filters, isOf }: Interest): Promise<History> {
  const formers = new Map<string, Former>();
  const sequences = new Set<number>();
  let examined = 0;
  for (const filter of filters) {
    for await (const entry of newestFirst(audit, { ...filter, since: instant(after + 1) })) {
      examined += 1;
      if (examined > limits.explainedChanges) throw tooMuch();
      if (sequences.has(entry.sequence) || !isOf(entry)) continue;
      sequences.add(entry.sequence);
      const key = JSON.stringify([entry.resource.kind, entry.resource.scope?.toLowerCase(), entry.resource.id.toLowerCase()]);
      formers.set(key, { resource: entry.resource, was: before(entry, formers.get(key)?.was ?? unchanged) });
    }
  }
  return { formers: [...formers.values()], sequences };
}

/** Before this moment nothing is known; `undefined` when the trail goes back to the beginning of everything. */
export async function horizonOf(
  audit: AuditReader,
  { instances, hubs }: Pick<FleetStorage['read'], 'instances' | 'hubs'>,
): Promise<Instant | undefined> {
  const [first] = (await audit.list({ order: 'oldest-first', limit: 1 })).items;
  if (first === undefined) return undefined;
  // A folder that is older than the trail has a service that the trail does not see begin.
  const [oldest] = [...(await instances.list()), ...(await hubs.list())].toSorted((a, b) => a.createdAt - b.createdAt);
  const isBeginning = first.action.endsWith('.create') && oldest?.name.toLowerCase() === first.resource.id.toLowerCase();
  return isBeginning && (await audit.checkpoint()) === undefined ? undefined : instant(Date.parse(first.at));
}

async function* newestFirst(audit: AuditReader, filter: AuditFilter): AsyncGenerator<AuditEntry> {
  let after: string | undefined;
  do {
    const page: Page<AuditEntry> = await audit.list({
      order: 'newest-first',
      limit: entriesPerRead,
      filter,
      ...(after === undefined ? {} : { after }),
    });
    yield* page.items;
    after = page.next;
    await nextTurn();
  } while (after !== undefined);
}

const unchanged: Was = { kind: 'patched', put: {}, removed: new Set() };

function before({ before: old, after: now }: AuditEntry, later: Was): Was {
  if (old === undefined) return { kind: 'absent' };
  if (now === undefined) return { kind: 'whole', view: old };
  const added = Object.keys(now).filter((name) => !Object.hasOwn(old, name));
  if (later.kind === 'whole') return { kind: 'whole', view: without({ ...later.view, ...old }, added) };
  // An update of what was not there has nothing to be laid over.
  if (later.kind === 'absent') return later;
  const removed = new Set([...later.removed].filter((name) => !Object.hasOwn(old, name)));
  for (const name of added) removed.add(name);
  return { kind: 'patched', put: without({ ...later.put, ...old }, added), removed };
}

function without(view: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(view).filter(([name]) => !names.includes(name)));
}

function tooMuch(): ServiceError {
  return new ServiceError(
    'ArgumentInvalid',
    `More than ${limits.explainedChanges} changes since then would have to be undone. Ask about a later time, or about one provisioning service.`,
  );
}
