import { readFile } from 'node:fs/promises';

import { findPemBlocks, type PemBlock } from '../../pki/pem.ts';
import { recogniseDer, recogniseLabel } from '../../pki/recognise.ts';
import { codeOf, messageOf } from '../client/system-error.ts';
import { failure } from '../exit-code.ts';

/**
 * Reads a certificate to be sent to a service: PEM as it stands, anything else (DER) as base64. What is something else,
 * a private key above all, never leaves this machine: of a file that holds both, only the certificates are sent.
 */
export async function readCertificateFile(path: string): Promise<string> {
  const bytes = await readInput(path, 'certificate');
  if (bytes.length === 0) throw failure(`${path} is empty. Name the file that holds the certificate.`);
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(bytes);
  const blocks = isText ? pemBlocksOf(text, path) : [];
  const found = blocks.length > 0 ? whatBlocksAre(blocks) : recogniseDer(isText ? Buffer.from(text, 'base64') : bytes);
  if (found !== undefined) throw failure(`${path} holds ${found}, not a certificate. Nothing was sent.`);
  if (!isText) return bytes.toString('base64');
  return blocks.some(({ label }) => label.endsWith('PRIVATE KEY')) ? onlyCertificates(text) : text.trimEnd();
}

/** The PEM blocks of a text from a file; a block that is cut off ends the command. */
export function pemBlocksOf(text: string, path: string): readonly PemBlock[] {
  try {
    return findPemBlocks(text);
  } catch (error) {
    throw failure(`${path} cannot be read. ${messageOf(error)}`);
  }
}

/** What a text is that has PEM blocks and no certificate among them. */
function whatBlocksAre(blocks: readonly PemBlock[]): string | undefined {
  if (blocks.some(({ label }) => label === 'CERTIFICATE')) return undefined;
  const [label = ''] = blocks.map((block) => block.label);
  return recogniseLabel(label) ?? `a PEM block '${label}'`;
}

function onlyCertificates(text: string): string {
  return (text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gsu) ?? []).join('\n');
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
