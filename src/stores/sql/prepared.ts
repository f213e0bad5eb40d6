import { type Compilable, CompiledQuery, type DialectAdapter, type QueryCreator, type QueryResult } from 'kysely';
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
  const byAdapter = new WeakMap<DialectAdapter, Statements<Values, Row>>();
  return async (db, values) => {
    const executor = db.getExecutor();
    const { adapter } = executor;
    let statements = byAdapter.get(adapter);
    if (statements === undefined) byAdapter.set(adapter, (statements = new Statements(build, isDirect(adapter) ? adapter : undefined)));
    const { compiled, valuesOf, run } = statements.like(values, db);
    // Whoever watches the queries of this executor sees this one, too.
    executor.transformQuery(compiled.query, compiled.queryId);
    const parameters = valuesOf(values);
    if (run !== undefined && statements.canRun(db)) return run(parameters);
    return await executor.executeQuery<Row>({ ...compiled, parameters });
  };
}

/** The same for a statement without values that no builder makes, as `savepoint`. */
export function prepareText(text: string): (db: SqlExecutor) => Promise<void> {
  const query = CompiledQuery.raw(text);
  const byAdapter = new WeakMap<DialectAdapter, (parameters: readonly unknown[]) => unknown>();
  return async (db) => {
    const { adapter } = db.getExecutor();
    if (!isDirect(adapter) || !adapter.canRun(db.isTransaction)) {
      await db.executeQuery(query);
      return;
    }
    const run = byAdapter.get(adapter) ?? adapter.prepare(text);
    byAdapter.set(adapter, run);
    run([]);
  };
}

interface Statement<Row> {
  /** What its values look like. */
  readonly template: unknown;
  readonly compiled: CompiledQuery<Row>;
  readonly valuesOf: (values: object) => readonly unknown[];
  /** Absent where only the executor can run it. */
  readonly run?: (parameters: readonly unknown[]) => QueryResult<Row>;
}

/** The statements of one query, of which nearly always the last one is wanted again. */
class Statements<Values extends object, Row> {
  readonly #build: (db: QueryCreator<SqlTables>, values: Values) => Compilable<Row>;
  readonly #known = new LRUCache<string, Statement<Row>>({ max: shapes });
  readonly #direct: DirectRunner | undefined;
  #last: Statement<Row> | undefined;

  constructor(build: (db: QueryCreator<SqlTables>, values: Values) => Compilable<Row>, direct: DirectRunner | undefined) {
    this.#build = build;
    this.#direct = direct;
  }

  canRun(db: SqlExecutor): boolean {
    return this.#direct?.canRun(db.isTransaction) === true;
  }

  like(values: Values, db: QueryCreator<SqlTables>): Statement<Row> {
    if (this.#last !== undefined && isLike(this.#last.template, values)) return this.#last;
    const shape = shapeOf(values);
    let statement = this.#known.get(shape);
    if (statement === undefined) this.#known.set(shape, (statement = this.#make(values, db)));
    return (this.#last = statement);
  }

  #make(values: Values, db: QueryCreator<SqlTables>): Statement<Row> {
    const template = placeholdersFor(values, []);
    const compiled = this.#build(db, template as Values).compile();
    const valuesOf = (given: object): readonly unknown[] =>
      compiled.parameters.map((parameter) => (parameter instanceof Placeholder ? parameter.valueIn(given) : parameter));
    const run = this.#direct?.prepare<Row>(compiled.sql);
    return { template, compiled, valuesOf, ...(run === undefined ? {} : { run }) };
  }
}

/** A database that answers at once, without the queue for its connection. */
export interface DirectRunner {
  /** Whether there is nothing to wait for. */
  canRun(isInTransaction: boolean): boolean;
  /** To be run as often as one likes. */
  prepare<Row>(sql: string): (parameters: readonly unknown[]) => QueryResult<Row>;
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
    let at: unknown = values;
    for (const name of this.#path) at = (at as Readonly<Record<string | number, unknown>>)[name];
    return at;
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

/** Whether values have the shape that a template was made of: what `shapeOf` says, without writing it down. */
function isLike(template: unknown, value: unknown): boolean {
  if (template === undefined) return value === undefined;
  if (template instanceof Placeholder) return value !== undefined && !Array.isArray(value) && !isRecord(value);
  if (Array.isArray(template)) {
    return Array.isArray(value) && value.length === template.length && (value.length === 0 || isLike(template[0], value[0]));
  }
  if (!isRecord(template) || !isRecord(value)) return false;
  let members = 0;
  for (const name in template) {
    if (!isLike(template[name], value[name]) || (value[name] === undefined && !(name in value))) return false;
    members += 1;
  }
  for (const _name in value) members -= 1;
  return members === 0;
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
