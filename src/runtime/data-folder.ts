import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync, fsyncSync } from 'node:fs';
import { join } from 'node:path';
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
 * `ArgumentInvalid` when it cannot be made or written.
 */
export function openDataFolder(path: string, pid: number): DataFolder {
  try {
    mkdirSync(join(path, 'pki'), { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
    chmodSync(join(path, 'pki'), 0o700);
  } catch (error) {
    throw new ServiceError(
      'ArgumentInvalid',
      `The data folder ${path} cannot be used: ${(error as Error).message}. Choose another with --data DIR.`,
    );
  }
  const lock = join(path, 'muster.pid');
  takeLock(lock, path, pid);
  const file = (...names: string[]): string => join(path, ...names);
  return {
    path,
    file,
    read: (...names) => (existsSync(file(...names)) ? readFileSync(file(...names), 'utf8') : undefined),
    write: (text, ...names) => writePrivately(file(...names), text),
    remove: (...names) => rmSync(file(...names), { force: true }),
    close: () => rmSync(lock, { force: true }),
  };
}

function takeLock(lock: string, path: string, pid: number): void {
  const holder = existsSync(lock) ? Number(readFileSync(lock, 'utf8')) : Number.NaN;
  if (Number.isInteger(holder) && holder > 0 && holder !== pid && isMuster(holder)) {
    throw new ServiceError(
      'ServerBusy',
      `The data folder ${path} is in use by the running service with process id ${holder}: stop it, or choose another folder with --data DIR.`,
    );
  }
  writePrivately(lock, String(pid));
}

/** A process id may have been given to another program since; Linux tells what it runs, elsewhere being alive decides. */
function isMuster(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('\0start\0');
  } catch {
    return true;
  }
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
}
