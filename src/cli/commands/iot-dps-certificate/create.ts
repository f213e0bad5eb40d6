import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { flag } from '../../grammar/option.ts';
import { renderCertificate } from '../arm-shapes.ts';
import { readCertificateFile } from '../certificate-file.ts';
import { certificateUrl } from './url.ts';
import { certificateTarget, pathOption } from './options.ts';

export const certificateCreate = defineCommand({
  name: 'iot dps certificate create',
  summary: 'Upload a CA certificate.',
  details: 'Before a group can rely on it, it has to be verified: by proof of possession, or on your word with --verified.',
  examples: [
    { text: 'Upload a root certificate.', command: 'iot dps certificate create --dps-name dps-local --name root --path ./root.cert.pem' },
    {
      text: 'Upload it and mark it as verified.',
      command: 'iot dps certificate create --dps-name dps-local --name root --path ./root.cert.pem --verified',
    },
  ],
  options: {
    ...certificateTarget,
    path: pathOption('Path of the file with the certificate (PEM or DER).'),
    verified: flag(['--verified', '-v'], 'Mark the certificate as verified, without a proof of possession.'),
  },
  async run(values, context) {
    const certificate = await readCertificateFile(values.path);
    const api = await openMusterApi(context);
    const body = { certificate, isVerified: values.verified ?? false };
    const answer = await api.send({ method: 'PUT', path: certificateUrl(values.dpsName, values.certificateName, api.service), body });
    return renderCertificate(answer, values.dpsName);
  },
});
