import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { required, text } from '../../grammar/option.ts';
import { noWaitOption, policiesPath, policyBody, policyTarget, renderPolicy, rightsOption } from './options.ts';

export const policyCreate = defineCommand({
  name: 'iot dps policy create',
  summary: 'Create a shared access policy in a provisioning service.',
  details: 'Tokens that its keys sign are good at once; nothing has to be started again.',
  examples: [
    {
      text: 'Create a policy that may look at enrollments and registrations, but not change them.',
      command: 'iot dps policy create --dps-name dps-local --policy-name reader --rights EnrollmentRead RegistrationStatusRead',
    },
  ],
  options: {
    ...policyTarget,
    rights: required(rightsOption),
    primaryKey: text(['--primary-key'], 'Primary key in base64. Made by the service when absent.'),
    secondaryKey: text(['--secondary-key'], 'Secondary key in base64. Made by the service when absent.'),
    noWait: noWaitOption,
  },
  async run(values, context) {
    const api = await openMusterApi(context);
    const body = { keyName: values.policyName, ...policyBody(values) };
    return renderPolicy(await api.send({ method: 'POST', path: policiesPath(values.dpsName, api), body }));
  },
});
