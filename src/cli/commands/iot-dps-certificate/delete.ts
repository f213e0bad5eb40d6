import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { flag } from '../../grammar/option.ts';
import { certificateTarget, etagOption } from './options.ts';
import { certificateUrl } from './url.ts';

export const certificateDelete = defineCommand({
  name: 'iot dps certificate delete',
  summary: 'Delete an uploaded CA certificate.',
  details: 'One that a disabled enrollment group refers to is kept, since the group would shut nobody out without it.',
  examples: [{ text: 'Delete it.', command: 'iot dps certificate delete --dps-name dps-local --name root --etag AAAAAAAAAAA=' }],
  options: {
    ...certificateTarget,
    etag: etagOption,
    force: flag(['--force'], 'Delete it although a disabled enrollment group refers to it.'),
  },
  async run({ dpsName, certificateName, etag, force }, context) {
    const api = await openMusterApi(context);
    const path = certificateUrl(dpsName, certificateName, api.service) + (force === true ? '?force=true' : '');
    await api.send({ method: 'DELETE', path, ifMatch: etag ?? '*' });
    return undefined;
  },
});
