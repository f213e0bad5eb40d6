import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import SqliteDatabase, { type Database } from 'better-sqlite3';

/** A data folder that services are started from; each gets a copy. */
export interface Template {
  readonly folder: string;
  readonly registryToken: string;
}

export const program = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

/** Runs the command line against a service. */
export function runCli(data: string, ca: string, words: readonly string[]): string {
  return execFileSync(process.execPath, [program, ...words], {
    encoding: 'utf8',
    env: { ...process.env, MUSTER_DATA: data, NODE_EXTRA_CA_CERTS: ca },
  });
}

/** The device, and the individual enrollment, whose rows are multiplied. */
export const patterns = { device: 'bench-000000', enrollment: 'bench-pattern' } as const;

/** What knows a device: the table, whose rows of it, and the column that says so. */
const tables = [
  { table: 'device', pattern: patterns.device, key: 'device_id' },
  { table: 'twin', pattern: patterns.device, key: 'device_id' },
  { table: 'registration', pattern: patterns.device, key: 'registration_key' },
  { table: 'enrollment', pattern: patterns.enrollment, key: 'enrollment_key' },
] as const;

/**
 * The same folder with so many devices in all, kept beside it. What is added are copies of the rows of one device that registered, under other names: a million registrations through the door would take
 * hours, and a row does not tell how it came.
 */
export function grownTemplate(template: Template, devices: number): Template {
  const folder = `${template.folder}-${devices}`;
  if (!existsSync(folder)) {
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    cpSync(template.folder, unfinished, { recursive: true });
    const database = new SqliteDatabase(join(unfinished, 'muster.sqlite'));
    database.pragma('synchronous = off');
    database.pragma('cache_size = -500000');
    database.transaction(() => {
      for (const one of tables) multiply(database, one, devices);
    })();
    database.exec('analyze');
    database.pragma('wal_checkpoint(truncate)');
    database.close();
    renameSync(unfinished, folder);
  }
  return { ...template, folder };
}

/** Rows that were there count: what is missing is added. */
function multiply(database: Database, { table, pattern, key }: (typeof tables)[number], devices: number): void {
  const there = (database.prepare(`select count(*) as n from ${table}`).get() as { n: number }).n;
  const values = (database.pragma(`table_info(${table})`) as { name: string; type: string }[]).map(({ name, type }) => {
    // Each has a certificate of its own.
    if (name === 'leaf_sha256') return 'upper(hex(randomblob(32)))';
    return type.toLowerCase() === 'text' ? `replace(one."${name}", '${pattern}', number.id)` : `one."${name}"`;
  });
  database
    .prepare(
      `with recursive counted(i) as (select 1 where ? > 0 union all select i + 1 from counted where i < ?),
       number(id) as (select printf('bulk-%07d', i) from counted)
       insert into ${table} select ${values.join(', ')} from ${table} as one, number where one.${key} = '${pattern}'`,
    )
    .run(devices - there, devices - there);
}

/** The newest migration that a store has seen. */
export function newestMigration(folder: string): string {
  const database = new SqliteDatabase(join(folder, 'muster.sqlite'), { readonly: true });
  try {
    return (database.prepare('select max(name) as name from kysely_migration').get() as { name: string }).name;
  } finally {
    database.close();
  }
}

/** A copy that a service may change. */
export function copyOf({ folder }: Template, to: string): void {
  for (const name of readdirSync(folder)) cpSync(join(folder, name), join(to, name), { recursive: true });
}

/** The newest migration of this build. */
export function builtMigration(): string {
  const names = readdirSync(join(dirname(program), 'stores', 'sql', 'migrations')).filter((name) => /^\d{4}-[^.]+\.js$/u.test(name));
  return names.toSorted().at(-1)?.replace('.js', '') ?? '';
}
