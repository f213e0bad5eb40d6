import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { expectList, renderCertificate } from '../arm-shapes.ts';
import { dpsPath } from '../resource-path.ts';
import { certificateTarget } from './options.ts';

export const certificateList = defineCommand({
  name: 'iot dps certificate list',
  summary: 'List the uploaded CA certificates.',
  examples: [
    {
      text: 'Which are verified, and until when are they valid?',
      command:
        'iot dps certificate list --dps-name dps-local --query "value[].{name:name, verified:properties.isVerified, until:properties.expiry}" -o table',
    },
  ],
  options: { dpsName: certificateTarget.dpsName, resourceGroup: certificateTarget.resourceGroup },
  async run({ dpsName }, context) {
    const api = await openMusterApi(context);
    const answer = await api.send({ method: 'GET', path: `${dpsPath(dpsName, api.service)}/certificates` });
    // az prints the list as the control plane sends it, inside of an object.
    return { value: expectList(answer).map((certificate) => renderCertificate(certificate, dpsName)) };
  },
});
