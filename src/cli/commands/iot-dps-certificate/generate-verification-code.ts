import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { renderCertificate } from '../arm-shapes.ts';
import { certificateTarget, etagOption } from './options.ts';
import { certificateUrl } from './url.ts';

export const certificateGenerateCode = defineCommand({
  name: 'iot dps certificate generate-verification-code',
  summary: 'Generate the code for a proof of possession.',
  details: 'Make a certificate with the code as its common name, signed with the key of the CA, and present it to verify.',
  examples: [
    {
      text: 'Get a code, and nothing but the code.',
      command:
        'iot dps certificate generate-verification-code --dps-name dps-local --name root --etag AAAAAAAAAAA= --query properties.verificationCode -o tsv',
    },
  ],
  options: { ...certificateTarget, etag: etagOption },
  async run(values, context) {
    const api = await openMusterApi(context);
    const path = `${certificateUrl(values.dpsName, values.certificateName, api.service)}/generate-verification-code`;
    return renderCertificate(await api.send({ method: 'POST', path, ifMatch: values.etag ?? '*' }), values.dpsName);
  },
});
