import { randomBytes, X509Certificate } from 'node:crypto';

import { instant } from '../../kernel/clock.ts';
import { usageError } from '../exit-code.ts';
import type { Credentials } from './device-body.ts';
import { writePemFiles } from './pki/files.ts';
import { validityOfDays } from './pki/validity.ts';

/** Credentials with the thumbprint of a certificate made now, when `--valid-days` or `--output-dir` ask for one. */
export async function selfSignedCredentials(
  commonName: string,
  values: Credentials & { readonly validDays: number | undefined; readonly outputDir: string | undefined },
): Promise<Credentials> {
  if (values.validDays === undefined && values.outputDir === undefined) return values;
  const { thumbprint } = await makeSelfSigned(commonName, values.validDays ?? 365, values.outputDir);
  return { ...values, primaryThumbprint: thumbprint };
}

/** Makes the certificate that `--valid-days` and `--output-dir` ask for; az names the files `<device>-cert.pem` and `<device>-key.pem`. */
async function makeSelfSigned(deviceId: string, days: number, folder: string | undefined): Promise<{ readonly thumbprint: string }> {
  if (days < 1) throw usageError('argument --valid-days: must be 1 or more.');
  const { createDeviceCertificate } = await import('../../pki/issue.ts');
  const issued = await createDeviceCertificate({
    commonName: deviceId,
    keyType: 'rsa2048',
    ...validityOfDays(days, instant(Date.now())),
    serialBytes: randomBytes(16),
  });
  // Without a folder az throws the key away as well; the thumbprint alone is of little use, but it is what was asked for.
  if (folder !== undefined) {
    const files = [
      { name: `${deviceId}-cert.pem`, text: issued.certificatePem },
      { name: `${deviceId}-key.pem`, text: issued.privateKeyPem, secret: true },
    ];
    await writePemFiles(folder, files, { force: false });
  }
  return { thumbprint: new X509Certificate(issued.certificatePem).fingerprint.replaceAll(':', '') };
}
