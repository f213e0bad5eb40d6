import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { renderCertificate } from '../arm-shapes.ts';
import { certificateTarget } from './options.ts';
import { certificateUrl } from './url.ts';

export const certificateShow = defineCommand({
  name: 'iot dps certificate show',
  summary: 'Get the details of an uploaded CA certificate.',
  examples: [{ text: 'Get its etag.', command: 'iot dps certificate show --dps-name dps-local --name root --query etag -o tsv' }],
  options: { ...certificateTarget },
  async run({ dpsName, certificateName }, context) {
    const api = await openMusterApi(context);
    return renderCertificate(await api.send({ method: 'GET', path: certificateUrl(dpsName, certificateName, api.service) }), dpsName);
  },
});
