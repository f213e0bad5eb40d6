import { openMusterApi } from '../../client/muster-api.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { text } from '../../grammar/option.ts';
import { noWaitOption, policyBody, policyPath, policyTarget, renderPolicy, rightsOption } from './options.ts';

export const policyUpdate = defineCommand({
  name: 'iot dps policy update',
  summary: 'Change the rights or keys of a shared access policy of a provisioning service.',
  details: 'What was signed with a key that is replaced is refused from then on.',
  examples: [
    {
      text: 'Change the rights of a policy.',
      command: 'iot dps policy update --dps-name dps-local --policy-name reader --rights EnrollmentRead',
    },
    {
      text: 'Have the service make a new primary key.',
      command: "iot dps policy update --dps-name dps-local --policy-name reader --primary-key ''",
    },
  ],
  options: {
    ...policyTarget,
    rights: rightsOption,
    primaryKey: text(['--primary-key'], 'Primary key in base64; an empty one is made anew by the service.'),
    secondaryKey: text(['--secondary-key'], 'Secondary key in base64; an empty one is made anew by the service.'),
    noWait: noWaitOption,
  },
  async run(values, context) {
    const body = policyBody(values);
    if (Object.keys(body).length === 0) throw usageError('Nothing to change: use --rights, --primary-key or --secondary-key.');
    const api = await openMusterApi(context);
    return renderPolicy(await api.send({ method: 'PATCH', path: policyPath(values, api), body }));
  },
});
