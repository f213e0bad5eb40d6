import type { TelemetryRow, TelemetryStore } from '../../hub/ports.ts';
import { jsonText, keyOf, parseJson } from './columns.ts';
import { prepare } from './prepared.ts';
import type { SqlExecutor, TelemetryCounterTable, TelemetryTable } from './schema.ts';

const telemetryColumns = [
  'hub_key',
  'sequence_number',
  'hub',
  'device_id',
  'generation_id',
  'enqueued_at',
  'source',
  'auth_method',
  'body',
  'system_properties',
  'application_properties',
] as const satisfies readonly (keyof TelemetryTable)[];

/** Rows of one insert, the most first: far below the number of parameters that any database takes, and few different statements. */
const rowsPerInsert = [64, 16, 4, 1] as const;

const takeSequence = prepare((db, { counter }: { readonly counter: TelemetryCounterTable }) =>
  db
    .insertInto('telemetry_counter')
    .values(counter)
    .onConflict((conflict) =>
      conflict
        .column('hub_key')
        .doUpdateSet((eb) => ({ last_sequence: eb('telemetry_counter.last_sequence', '+', eb.ref('excluded.last_sequence')) })),
    )
    .returning('last_sequence'),
);

const insertTelemetry = prepare((db, { messages }: { readonly messages: readonly TelemetryTable[] }) =>
  db.insertInto('telemetry').values(messages),
);

export function createSqlTelemetryStore(db: SqlExecutor): TelemetryStore {
  /** Takes the next `count` numbers of a hub and returns the first; the write lock keeps two writers apart. */
  async function takeNumbers(hubKey: string, count: number): Promise<number> {
    const {
      rows: [counter],
    } = await takeSequence(db, { counter: { hub_key: hubKey, last_sequence: count } });
    if (counter === undefined) throw new Error('a counter that was just written is not there');
    return counter.last_sequence - count + 1;
  }

  async function appendToHub(hubKey: string, rows: readonly TelemetryRow[]): Promise<number> {
    const first = await takeNumbers(hubKey, rows.length);
    const columns = rows.map((row, index) => telemetryColumnsOf(row, first + index));
    let start = 0;
    for (const count of rowsPerInsert) {
      for (; start + count <= columns.length; start += count) await insertTelemetry(db, { messages: columns.slice(start, start + count) });
    }
    return first;
  }

  return {
    async append(rows) {
      const firsts: number[] = [];
      for (const hubKey of new Set(rows.map((row) => keyOf(row.hub)))) {
        const ofHub = rows.filter((row) => keyOf(row.hub) === hubKey);
        firsts.push(await appendToHub(hubKey, ofHub));
      }
      return firsts[0] ?? 0;
    },
    async read(hub, { after, limit, deviceId }) {
      const rows = await db
        .selectFrom('telemetry')
        .select(telemetryColumns)
        .where('hub_key', '=', keyOf(hub))
        .$if(deviceId !== undefined, (query) => query.where('device_id', '=', deviceId as string))
        .where('sequence_number', '>', after)
        .orderBy('sequence_number')
        .limit(limit)
        .execute();
      return rows.map(telemetryFrom);
    },
    forget: (hub, bounds) => forget(db, keyOf(hub), bounds),
    async lastSequenceNumber(hub) {
      const row = await db.selectFrom('telemetry_counter').select('last_sequence').where('hub_key', '=', keyOf(hub)).executeTakeFirst();
      return row?.last_sequence ?? 0;
    },
    erase: (hub, deviceId) => erase(db, hub, deviceId),
  };
}

/** Numbers are given out in the order of time, so the oldest are found without an index on it. */
async function forget(db: SqlExecutor, hubKey: string, { before, atMost }: Parameters<TelemetryStore['forget']>[1]): Promise<number> {
  const oldest = await db
    .selectFrom('telemetry')
    .select(['sequence_number', 'enqueued_at'])
    .where('hub_key', '=', hubKey)
    .orderBy('sequence_number')
    .limit(atMost)
    .execute();
  const firstKept = oldest.findIndex((row) => row.enqueued_at >= before);
  const last = (firstKept < 0 ? oldest : oldest.slice(0, firstKept)).at(-1);
  if (last === undefined) return 0;
  const { numDeletedRows } = await db
    .deleteFrom('telemetry')
    .where('hub_key', '=', hubKey)
    .where('sequence_number', '<=', last.sequence_number)
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}

async function erase(db: SqlExecutor, hub: string, deviceId: string): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('telemetry')
    .where('hub_key', '=', keyOf(hub))
    .where('device_id', '=', deviceId)
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}

function telemetryFrom(row: TelemetryTable): TelemetryRow & { readonly sequenceNumber: number } {
  return {
    sequenceNumber: row.sequence_number,
    hub: row.hub,
    deviceId: row.device_id,
    generationId: row.generation_id,
    enqueuedAt: row.enqueued_at,
    source: row.source,
    authMethod: row.auth_method,
    body: row.body,
    systemProperties: parseJson(row.system_properties),
    applicationProperties: parseJson(row.application_properties),
  };
}

function telemetryColumnsOf(row: TelemetryRow, sequenceNumber: number): TelemetryTable {
  return {
    hub_key: keyOf(row.hub),
    sequence_number: sequenceNumber,
    hub: row.hub,
    device_id: row.deviceId,
    generation_id: row.generationId,
    enqueued_at: row.enqueuedAt,
    source: row.source,
    auth_method: row.authMethod,
    body: row.body,
    system_properties: jsonText(row.systemProperties),
    application_properties: jsonText(row.applicationProperties),
  };
}
