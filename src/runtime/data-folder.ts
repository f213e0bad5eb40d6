import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { ServiceError } from '../kernel/service-error.ts';

/** The folder that holds everything a service keeps; only its owner can read it. */
export interface DataFolder {
  readonly path: string;
  file(...names: string[]): string;
  read(...names: string[]): string | undefined;
  /** Writes through a temporary name, so that a crash leaves the old text or the new one; mode 0600. */
  write(text: string, ...names: string[]): void;
  remove(...names: string[]): void;
  /** Gives the folder up for the next service. */
  close(): void;
}

/**
 * Makes the folder if needed and takes it for this process. Throws `ServerBusy` when another live service has it, and
 * `ArgumentInvalid` when it cannot be made or written. The mode of a folder that was there is its owner's business.
 */
export function openDataFolder(path: string, pid: number): DataFolder {
  const lock = orUnusable(path, () => {
    makeFolders(join(path, 'pki'));
    const taken = takeLock(path);
    awaitWorkers(path);
    return taken;
  });
  const holder = join(path, 'muster.pid');
  try {
    orUnusable(path, () => writePrivately(holder, String(pid)));
  } catch (error) {
    lock.close();
    throw error;
  }
  return {
    ...filesIn(path),
    close() {
      rmSync(holder, { force: true });
      lock.close();
    },
  };
}

/** The folder of a service that another process has opened, for one that works for it. Close it last. */
export function joinDataFolder(path: string): DataFolder {
  const lock = openLock(path, workersLock);
  // What reads a database keeps everybody from having it alone, until it ends, in whatever way.
  lock.exec('begin');
  lock.prepare('select count(*) from sqlite_master').get();
  return { ...filesIn(path), close: () => void lock.close() };
}

function filesIn(path: string): Omit<DataFolder, 'close'> {
  const file = (...names: string[]): string => join(path, ...names);
  return {
    path,
    file,
    read: (...names) => (existsSync(file(...names)) ? readFileSync(file(...names), 'utf8') : undefined),
    write: (text, ...names) => writePrivately(file(...names), text),
    remove: (...names) => rmSync(file(...names), { force: true }),
  };
}

function orUnusable<T>(path: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    throw new ServiceError(
      'ArgumentInvalid',
      `The data folder ${path} cannot be used: ${(error as Error).message}. Choose another with --data DIR.`,
    );
  }
}

function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  try {
    // One at a time: asked for all at once, Node never returns where the kernel takes no folders, as below /proc.
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another start may have been quicker.
    if (!existsSync(path)) throw error;
  }
  // A power cut must not take away the folder with what was acknowledged in it.
  syncFolder(dirname(path));
}

/**
 * SQLite's lock on a file is the kernel's: it ends with the process however that ends, holds between containers that share
 * the folder, and no two can take it at once, as they could with a process id in a file.
 */
function takeLock(path: string): { close(): void } {
  const database = openLock(path, 'muster.lock');
  try {
    database.exec('begin exclusive');
    return database;
  } catch (error) {
    database.close();
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error;
    const holder = existsSync(join(path, 'muster.pid')) ? readFileSync(join(path, 'muster.pid'), 'utf8') : '';
    const who = holder === '' ? 'another running service' : `the running service with process id ${holder}`;
    throw new ServiceError('ServerBusy', `The data folder ${path} is in use by ${who}: stop it, or choose another folder with --data DIR.`);
  }
}

const workersLock = 'muster.workers.lock';
/** Workers end when the service that began them does; until then they may still write. Milliseconds. */
const workersPatience = 10_000;

function awaitWorkers(path: string): void {
  const database = openLock(path, workersLock, workersPatience);
  try {
    database.exec('begin exclusive');
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error;
    throw new ServiceError(
      'ServerBusy',
      `The data folder ${path} is in use by worker processes of a service that has ended: stop them, or choose another folder with --data DIR.`,
    );
  } finally {
    database.close();
  }
}

function openLock(path: string, name: string, timeout = 0): Database.Database {
  closeSync(openSync(join(path, name), 'a', 0o600));
  return new Database(join(path, name), { timeout });
}

function writePrivately(path: string, text: string): void {
  const temporary = `${path}.new`;
  const descriptor = openSync(temporary, 'w', 0o600);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

/** Makes names last: without it a power cut may forget a file, however well its contents were written. Windows has no such call. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
