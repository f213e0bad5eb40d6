import { access, chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { codeOf } from '../../client/system-error.ts';
import { failure, usageError } from '../../exit-code.ts';

export interface PemFile {
  readonly name: string;
  readonly text: string;
  /** Only the owner may read it. */
  readonly secret?: boolean;
}

/** Writes files into a folder, which is made if need be; returns their paths. Refuses to overwrite any, unless forced. */
export async function writePemFiles(
  folder: string,
  files: readonly PemFile[],
  { force }: { readonly force: boolean },
): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true });
  const paths = files.map((file) => join(folder, file.name));
  if (!force) await refuseExisting(paths);
  for (const [at, { text, secret }] of files.entries()) {
    const path = paths[at] ?? '';
    const mode = secret === true ? 0o600 : 0o644;
    await writeFile(path, text, { mode, flag: force ? 'w' : 'wx' });
    // The mode counts for new files only; one that is overwritten may have been readable by all.
    if (secret === true) await chmod(path, mode);
  }
  return paths;
}

async function refuseExisting(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if (await exists(path)) throw failure(`${path} exists already. Choose another --name or --out, or overwrite it with --force.`);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** A name that is a file name and nothing else. */
export function checkFileName(name: string): string {
  if (name === '' || name.startsWith('.') || /[/\\\0]/u.test(name))
    throw usageError(`argument --name: '${name}' cannot be used as a file name.`);
  return name;
}
