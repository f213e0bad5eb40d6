import { readFile } from 'node:fs/promises';

import { codeOf } from '../client/system-error.ts';
import { failure } from '../exit-code.ts';

/** Reads a certificate to be sent to a service: PEM as it stands, anything else (DER) as base64. */
export async function readCertificateFile(path: string): Promise<string> {
  const bytes = await readInput(path, 'certificate');
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text.trimEnd() : bytes.toString('base64');
}

/** Reads a file that a command was given, with a sentence for the usual mishaps. */
export async function readInput(path: string, what: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') throw failure(`The ${what} file ${path} does not exist. Check the path.`);
    if (code === 'EACCES') throw failure(`The ${what} file ${path} may not be read by this user.`);
    if (code === 'EISDIR') throw failure(`${path} is a folder, not a ${what} file.`);
    throw error;
  }
}
