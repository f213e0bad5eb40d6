import type { SelectQueryBuilder } from 'kysely';

import type { Cause } from '../../audit/actor.ts';
import type { AuditKeys } from '../../audit/audit-keys.ts';
import { chainStart, linkEntry } from '../../audit/chain.ts';
import type { Change } from '../../audit/change.ts';
import type { AuditFilter, AuditStore } from '../../audit/ports.ts';
import type { AuditEntry, AuditHead } from '../../contracts/audit/audit-entry.ts';
import { type Instant, instant } from '../../kernel/clock.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { AuditEntryTable, AuditHeadTable } from './audit-schema.ts';
import { jsonText, keyOf, pageOf, probeLimit, withoutNulls } from './columns.ts';
import { prepare } from './prepared.ts';
import type { JsonText, SqlExecutor, SqlTables } from './schema.ts';

/** Head and checkpoint have one row each. */
const onlyRow = 1;

/** Rows of one statement: eighteen values each, well below what any database binds at once. */
const rowsPerInsert = 200;

const selectHead = prepare((db, at: { readonly id: number }) =>
  db.selectFrom('audit_head').select(['sequence', 'hash', 'seal']).where('id', '=', at.id),
);
const putHead = prepare((db, { id, head }: { readonly id: number; readonly head: Omit<AuditHeadTable, 'id'> }) =>
  db
    .insertInto('audit_head')
    .values({ id, ...head })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(head)),
);
const insertEntries = prepare((db, { rows }: { readonly rows: readonly AuditEntryTable[] }) => db.insertInto('audit_entry').values(rows));

/** Without `keys` the head has no seal. */
export function createSqlAuditStore(db: SqlExecutor, keys: AuditKeys | undefined): AuditStore {
  return { ...reading(db), ...writing(db, keys) };
}

type Reading = Pick<AuditStore, 'get' | 'list' | 'head' | 'checkpoint'>;

function reading(db: SqlExecutor): Reading {
  return {
    async get(sequence) {
      const row = await db.selectFrom('audit_entry').selectAll().where('sequence', '=', sequence).executeTakeFirst();
      return row && entryFrom(row);
    },
    async list({ order, filter = {}, ...page }) {
      const { after } = page;
      const isForward = order === 'oldest-first';
      const rows = await filtered(db.selectFrom('audit_entry').selectAll(), filter)
        .$if(after !== undefined, (query) => query.where('sequence', isForward ? '>' : '<', Number(after)))
        .orderBy('sequence', isForward ? 'asc' : 'desc')
        .limit(probeLimit(page))
        .execute();
      return pageOf(rows, page, { key: (row) => String(row.sequence), item: entryFrom });
    },
    head: () => readHead(db),
    async checkpoint() {
      return await db.selectFrom('audit_checkpoint').select(['sequence', 'hash']).where('id', '=', onlyRow).executeTakeFirst();
    },
  };
}

async function readHead(db: SqlExecutor): ReturnType<AuditStore['head']> {
  const {
    rows: [row],
  } = await selectHead(db, { id: onlyRow });
  return row === undefined ? chainStart : withoutNulls(row);
}

type EntryQuery = SelectQueryBuilder<SqlTables, 'audit_entry', AuditEntryTable>;

function filtered(query: EntryQuery, { resource, resourceKind, scope, actor, action, since, until }: AuditFilter): EntryQuery {
  return query
    .$if(resource !== undefined, (rest) => rest.where('resource_key', '=', keyOf(resource ?? '')))
    .$if(resourceKind !== undefined, (rest) => rest.where('resource_kind', '=', resourceKind ?? ''))
    .$if(scope !== undefined, (rest) => rest.where('scope_key', '=', keyOf(scope ?? '')))
    .$if(actor !== undefined, (rest) => rest.where('actor_key', '=', keyOf(actor ?? '')))
    .$if(action !== undefined, (rest) => rest.where('action', '=', action ?? ''))
    .$if(since !== undefined, (rest) => rest.where('at', '>=', since as Instant))
    .$if(until !== undefined, (rest) => rest.where('at', '<', until as Instant));
}

function writing(db: SqlExecutor, keys: AuditKeys | undefined): Omit<AuditStore, keyof Reading> {
  async function moveHead(head: AuditHead): Promise<void> {
    await putHead(db, { id: onlyRow, head: { sequence: head.sequence, hash: head.hash, seal: keys?.seal(head) ?? null } });
  }

  return {
    async append(changes, origin) {
      const { sequence, hash } = await readHead(db);
      let head: AuditHead = { sequence, hash };
      const rows: AuditEntryTable[] = [];
      for (const change of changes) {
        const entry = linkEntry(contentOf(change, origin), head);
        rows.push(rowOf(entry, origin.at));
        head = { sequence: entry.sequence, hash: entry.hash };
      }
      for (let first = 0; first < rows.length; first += rowsPerInsert) {
        await insertEntries(db, { rows: rows.slice(first, first + rowsPerInsert) });
      }
      if (rows.length > 0) await moveHead(head);
    },

    async prune(before) {
      const kept = await db.selectFrom('audit_entry').select('sequence').where('at', '>=', before).orderBy('sequence').executeTakeFirst();
      const last = await db
        .selectFrom('audit_entry')
        .select(['sequence', 'hash'])
        .$if(kept !== undefined, (query) => query.where('sequence', '<', kept?.sequence ?? 0))
        .orderBy('sequence', 'desc')
        .executeTakeFirst();
      if (last === undefined) return { removed: 0 };
      const { numDeletedRows } = await db.deleteFrom('audit_entry').where('sequence', '<=', last.sequence).executeTakeFirstOrThrow();
      await db
        .insertInto('audit_checkpoint')
        .values({ id: onlyRow, ...last })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(last))
        .execute();
      return { removed: Number(numDeletedRows), checkpoint: last };
    },
  };
}

function contentOf(
  { action, resource, before, after }: Change,
  { cause, at }: { readonly cause: Cause; readonly at: Instant },
): Parameters<typeof linkEntry>[0] {
  const { by, reason, ticket } = cause;
  return {
    at: new Date(at).toISOString(),
    actor: by,
    action,
    resource,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
    ...(reason === undefined ? {} : { reason }),
    ...(ticket === undefined ? {} : { ticket }),
  };
}

function rowOf({ sequence, actor, action, resource, before, after, reason, ticket, previousHash, hash }: AuditEntry, at: Instant) {
  return {
    sequence,
    at,
    actor_kind: actor.kind,
    actor_key: keyOf(actor.name),
    actor_name: actor.name,
    transport: actor.origin?.transport ?? null,
    address: actor.origin?.address ?? null,
    user_agent: actor.origin?.userAgent ?? null,
    action,
    resource_kind: resource.kind,
    resource_key: keyOf(resource.id),
    resource_id: resource.id,
    scope_key: resource.scope === undefined ? null : keyOf(resource.scope),
    scope: resource.scope ?? null,
    before: before === undefined ? null : jsonText(before),
    after: after === undefined ? null : jsonText(after),
    reason: reason ?? null,
    ticket: ticket ?? null,
    previous_hash: previousHash,
    hash,
  };
}

function entryFrom(row: AuditEntryTable): AuditEntry {
  const { transport, address, user_agent: userAgent } = row;
  const origin = transport === null || address === null ? null : { transport, address, ...withoutNulls({ userAgent }) };
  return {
    sequence: row.sequence,
    at: timeFrom(row.at),
    actor: { kind: row.actor_kind, name: row.actor_name, ...withoutNulls({ origin }) },
    action: row.action,
    resource: { kind: row.resource_kind, id: row.resource_id, ...withoutNulls({ scope: row.scope }) },
    ...withoutNulls({ before: objectFrom(row.before), after: objectFrom(row.after), reason: row.reason, ticket: row.ticket }),
    previousHash: row.previous_hash,
    hash: row.hash,
  };
}

/** A row that somebody tampered with may hold what is no time and no JSON. It is read all the same; its hash will tell. */
function timeFrom(at: number): string {
  return Number.isSafeInteger(at) && Math.abs(at) <= 8.64e15 ? new Date(instant(at)).toISOString() : String(at);
}

function objectFrom(text: JsonText<JsonObject> | null): JsonObject | null {
  if (text === null) return null;
  try {
    return JSON.parse(text) as JsonObject;
  } catch {
    return { unreadable: text };
  }
}
