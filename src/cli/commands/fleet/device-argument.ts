import { isUtf8 } from 'node:buffer';
import { existsSync } from 'node:fs';

import { toPem } from '../../../pki/pem.ts';
import { usageError } from '../../exit-code.ts';
import { text } from '../../grammar/option.ts';
import { readInput } from '../certificate-file.ts';

const words = 'Device id, registration id, thumbprint, or PEM file of its certificate; its issuers may follow.';

/** How a command names one device. */
export const deviceArgument = {
  device: text(['--device', '-d'], words, { positional: true }),
  certificate: text(['--certificate', '--cp', '--certificate-path'], 'Certificate of the device, PEM or DER.'),
} as const;

/** What the service takes: an id as it stands, a file as PEM. `undefined` when neither was given. */
export async function readDevice(values: {
  readonly device: string | undefined;
  readonly certificate: string | undefined;
}): Promise<string | undefined> {
  const { device, certificate } = values;
  if (device !== undefined && certificate !== undefined)
    throw usageError('--device and --certificate name the device twice. Give one of them.');
  if (certificate !== undefined) return await readPem(certificate);
  if (device === undefined) return undefined;
  return isFile(device) ? await readPem(device) : device;
}

/** An id may have dots, too, so that only a file that is there counts as one. */
function isFile(text: string): boolean {
  return /\.(?:pem|crt|cer|der)$/iu.test(text) && existsSync(text);
}

async function readPem(path: string): Promise<string> {
  const bytes = await readInput(path, 'certificate');
  return isUtf8(bytes) && bytes.includes('-----BEGIN') ? bytes.toString('utf8') : toPem(bytes);
}
