import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { certificateTarget, etagOption } from './options.ts';
import { certificateUrl } from './url.ts';

export const certificateDelete = defineCommand({
  name: 'iot dps certificate delete',
  summary: 'Delete an uploaded CA certificate.',
  examples: [{ text: 'Delete it.', command: 'iot dps certificate delete --dps-name dps-local --name root --etag AAAAAAAAAAA=' }],
  options: { ...certificateTarget, etag: etagOption },
  async run({ dpsName, certificateName, etag }, context) {
    const api = await openMusterApi(context);
    await api.send({ method: 'DELETE', path: certificateUrl(dpsName, certificateName, api.service), ifMatch: etag ?? '*' });
    return undefined;
  },
});
