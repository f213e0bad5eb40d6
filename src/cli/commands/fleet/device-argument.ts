import { existsSync } from 'node:fs';

import { toPem } from '../../../pki/pem.ts';
import { usageError } from '../../exit-code.ts';
import { text } from '../../grammar/option.ts';
import { readCertificateFile } from '../certificate-file.ts';

const words = 'Device id, registration id, thumbprint, or PEM file of its certificate; its issuers may follow.';

/** How a command names one device. */
export const deviceArgument = {
  device: text(['--device', '-d'], words, { positional: true }),
  certificate: text(['--certificate', '--cp', '--certificate-path'], 'Certificate of the device, PEM or DER.'),
} as const;

interface NamedDevice {
  readonly device: string | undefined;
  readonly certificate: string | undefined;
}

/** What the service takes: an id as it stands, a file as PEM. `undefined` when neither was given. */
export async function readDevice(values: NamedDevice): Promise<string | undefined> {
  if (values.device !== undefined && values.certificate !== undefined)
    throw usageError('--device and --certificate name the device twice. Give one of them.');
  const path = certificateFileOf(values);
  return path === undefined ? values.device : await readPem(path);
}

/** The file that names the device, if one does. An id may have dots, but no slashes: without one only a file that is there counts. */
export function certificateFileOf({ device, certificate }: NamedDevice): string | undefined {
  if (certificate !== undefined) return certificate;
  if (device === undefined || !/\.(?:pem|crt|cer|der)$/iu.test(device)) return undefined;
  return /[/\\]/u.test(device) || existsSync(device) ? device : undefined;
}

async function readPem(path: string): Promise<string> {
  const text = await readCertificateFile(path);
  return text.includes('-----BEGIN') ? text : toPem(Buffer.from(text, 'base64'));
}
