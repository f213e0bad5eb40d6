import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder to work in, that goes away. */
export interface ThrowAway {
  readonly path: string;
  /** Goes back to where the process was, and removes the folder with everything in it. */
  remove(): void;
}

/**
 * Makes the folder and goes into it, so that commands can name their files as a person who stands there would.
 * It is removed on a sudden end of the process, too.
 */
export function enterThrowAway(): ThrowAway {
  const before = process.cwd();
  const path = mkdtempSync(join(tmpdir(), 'muster-tour-'));
  process.chdir(path);
  const remove = (): void => {
    process.off('exit', remove);
    // A folder that a process is in cannot be removed everywhere.
    process.chdir(before);
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  };
  process.on('exit', remove);
  return { path, remove };
}
