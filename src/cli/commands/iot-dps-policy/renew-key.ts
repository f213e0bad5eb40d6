import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { choice, required } from '../../grammar/option.ts';
import { noWaitOption, policyPath, policyTarget, renderPolicy } from './options.ts';

export const policyRenewKey = defineCommand({
  name: 'iot dps policy renew-key',
  summary: 'Make a new key for a shared access policy of a provisioning service, or swap its two keys.',
  details:
    'az has this for hubs only, and in the same words. To change keys without an interruption: give clients the secondary key, renew the primary one, give them that.',
  examples: [
    {
      text: 'Renew the primary key; tokens that it signed are refused from then on.',
      command: 'iot dps policy renew-key --dps-name dps-local --policy-name provisioningserviceowner --renew-key primary',
    },
  ],
  options: {
    ...policyTarget,
    renewKey: required(choice(['--renew-key', '--rk'], ['primary', 'secondary', 'swap'] as const, 'Which key to renew.')),
    noWait: noWaitOption,
  },
  async run(values, context) {
    const api = await openMusterApi(context);
    const path = `${policyPath(values, api)}/renew-key`;
    return renderPolicy(await api.send({ method: 'POST', path, body: { key: values.renewKey } }));
  },
});
