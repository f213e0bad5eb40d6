import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { ServiceError } from '../../../src/kernel/service-error.ts';
import { type DataFolder, joinDataFolder, openDataFolder } from '../../../src/runtime/data-folder.ts';

let home: string;
let path: string;
const opened: DataFolder[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'muster-data-'));
  path = join(home, 'deep', 'down');
});
afterEach(() => {
  for (const folder of opened.splice(0)) folder.close();
  rmSync(home, { recursive: true, force: true });
});

function open(at = path, pid = process.pid): DataFolder {
  const folder = openDataFolder(at, pid);
  opened.push(folder);
  return folder;
}

function refusal(at = path): ServiceError {
  try {
    open(at);
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
  throw new Error('it was opened');
}

const modeOf = (file: string): number => statSync(file).mode & 0o777;

test('a new folder and everything in it is for its owner only', () => {
  const folder = open();
  folder.write('secret', 'api-token');
  folder.write('key', 'pki', 'ca.key.pem');
  for (const directory of [path, join(path, 'pki')]) expect(modeOf(directory)).toBe(0o700);
  for (const file of [['api-token'], ['pki', 'ca.key.pem'], ['muster.pid'], ['muster.lock']])
    expect(modeOf(folder.file(...file))).toBe(0o600);
});

test('a folder that was there keeps its mode: it may be a shared one', () => {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o755);
  const folder = open();
  folder.write('secret', 'api-token');
  expect(modeOf(path)).toBe(0o755);
  expect(modeOf(folder.file('api-token'))).toBe(0o600);
});

test('texts are read back, replaced and removed, and no temporary file stays', () => {
  const folder = open();
  expect(folder.read('name')).toBeUndefined();
  folder.write('one', 'name');
  folder.write('two', 'name');
  expect(folder.read('name')).toBe('two');
  expect(existsSync(folder.file('name.new'))).toBe(false);
  folder.remove('name');
  folder.remove('name');
  expect(folder.read('name')).toBeUndefined();
});

test('two services cannot have it at once, not even with one process id, as in two containers', () => {
  open();
  expect(refusal()).toMatchObject({ error: 'ServerBusy', message: expect.stringContaining(`process id ${process.pid}`) as string });
  opened.pop()?.close();
  open();
});

test('a service that was killed does not keep it', async () => {
  const script = join(home, 'hold.mjs');
  const source = new URL('../../../node_modules/better-sqlite3/lib/index.js', import.meta.url).href;
  open().close();
  opened.pop();
  // What openDataFolder holds, in another process.
  writeFileSync(
    script,
    `import Database from '${source}'; new Database(process.argv[2]).exec('begin exclusive'); process.send('held'); setInterval(() => {}, 1000);`,
  );
  writeFileSync(join(path, 'muster.pid'), '4711');
  const child = fork(script, [join(path, 'muster.lock')]);
  await once(child, 'message');
  expect(refusal().message).toContain('process id 4711');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(open().read('muster.pid')).toBe(String(process.pid));
});

test('a worker that is there still keeps the next service from having it', () => {
  open().write('one', 'name');
  const worker = joinDataFolder(path);
  expect(worker.read('name')).toBe('one');
  // Several work for one service.
  joinDataFolder(path).close();
  worker.close();
  opened.pop()?.close();
  open();
});

test('a path that cannot be a folder is refused with a sentence that says what to do', () => {
  writeFileSync(join(home, 'file'), '');
  expect(refusal(join(home, 'file'))).toMatchObject({ error: 'ArgumentInvalid', message: expect.stringContaining('--data DIR') as string });
});

test.skipIf(process.platform !== 'linux')('where the kernel takes no folders, the start ends with a sentence', () => {
  const found = refusal('/proc/muster/data');
  expect(found.message).toMatch(/^The data folder \/proc\/muster\/data cannot be used: .*Choose another with --data DIR\.$/u);
});
