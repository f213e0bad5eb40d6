import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { renderCertificate } from '../arm-shapes.ts';
import { readCertificateFile } from '../certificate-file.ts';
import { certificateTarget, etagOption, pathOption } from './options.ts';
import { certificateUrl } from './url.ts';

export const certificateVerify = defineCommand({
  name: 'iot dps certificate verify',
  summary: 'Verify a CA certificate by proof of possession.',
  examples: [
    {
      text: 'Present the verification certificate.',
      command: 'iot dps certificate verify --dps-name dps-local --name root --path ./verification.cert.pem --etag AAAAAAAAAAA=',
    },
  ],
  options: { ...certificateTarget, path: pathOption('Path of the file with the verification certificate.'), etag: etagOption },
  async run(values, context) {
    const certificate = await readCertificateFile(values.path);
    const api = await openMusterApi(context);
    const path = `${certificateUrl(values.dpsName, values.certificateName, api.service)}/verify`;
    return renderCertificate(await api.send({ method: 'POST', path, body: { certificate }, ifMatch: values.etag ?? '*' }), values.dpsName);
  },
});
