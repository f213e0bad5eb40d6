import type { Compilable, CompiledQuery, DialectAdapter, QueryCreator, QueryResult } from 'kysely';
import { LRUCache } from 'lru-cache';

import type { SqlExecutor, SqlTables } from './schema.ts';

/** Runs a query with these values. */
export type PreparedQuery<Values, Row> = (db: SqlExecutor, values: Values) => Promise<QueryResult<Row>>;

/** Lists of different lengths are different statements; each query meets a few of them. */
const shapes = 128;

/**
 * A query that is built and compiled once and then run with other values: on the way of every request, building costs several
 * times what running does. `build` gets placeholders of the shape of the values: it may pass them on, compare a member with
 * `undefined` and map over a list, but not look into them.
 */
export function prepare<Values extends object, Row>(
  build: (db: QueryCreator<SqlTables>, values: Values) => Compilable<Row>,
): PreparedQuery<Values, Row> {
  const byAdapter = new WeakMap<DialectAdapter, LRUCache<string, CompiledQuery<Row>>>();
  return async (db, values) => {
    const executor = db.getExecutor();
    const known = byAdapter.get(executor.adapter) ?? new LRUCache<string, CompiledQuery<Row>>({ max: shapes });
    byAdapter.set(executor.adapter, known);
    const shape = shapeOf(values);
    let compiled = known.get(shape);
    if (compiled === undefined) known.set(shape, (compiled = build(db, placeholdersFor(values, []) as Values).compile()));
    // Whoever watches the queries of this executor sees this one, too.
    executor.transformQuery(compiled.query, compiled.queryId);
    const parameters = compiled.parameters.map((parameter) => (parameter instanceof Placeholder ? parameter.valueIn(values) : parameter));
    const { adapter } = executor;
    if (isDirect(adapter) && adapter.canRun(db.isTransaction)) return adapter.run<Row>(compiled.sql, parameters);
    return await executor.executeQuery<Row>({ ...compiled, parameters });
  };
}

/** A database that answers at once, without the queue for its connection. */
export interface DirectRunner {
  /** Whether there is nothing to wait for. */
  canRun(isInTransaction: boolean): boolean;
  run<Row>(sql: string, parameters: readonly unknown[]): QueryResult<Row>;
}

function isDirect(adapter: DialectAdapter): adapter is DialectAdapter & DirectRunner {
  return 'canRun' in adapter && 'run' in adapter;
}

/** Where a value will be. */
class Placeholder {
  readonly #path: readonly (string | number)[];

  constructor(path: readonly (string | number)[]) {
    this.#path = path;
  }

  valueIn(values: object): unknown {
    return this.#path.reduce<unknown>((at, name) => (at as Record<string | number, unknown>)[name], values);
  }

  toJSON(): never {
    throw new Error('bug: a prepared query looked into its values');
  }
}

/** Two values of one shape make the same statement. Members have names of ours, so nothing that is sent becomes a part of it. */
function shapeOf(value: unknown): string {
  if (value === undefined) return '-';
  if (Array.isArray(value)) return `[${value.length}${value.length === 0 ? '' : shapeOf(value[0])}]`;
  if (!isRecord(value)) return '';
  const members = Object.entries(value).map(([name, member]) => `${name}${shapeOf(member)}`);
  return `{${members.join()}}`;
}

function placeholdersFor(value: unknown, path: readonly (string | number)[]): unknown {
  if (value === undefined) return undefined;
  if (Array.isArray(value)) return value.map((item, index) => placeholdersFor(item, [...path, index]));
  if (!isRecord(value)) return new Placeholder(path);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, placeholdersFor(member, [...path, name])]));
}

/** Bytes are a value, not a record. */
function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
