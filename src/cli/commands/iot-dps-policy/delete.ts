import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { expectList } from '../arm-shapes.ts';
import { noWaitOption, policiesPath, policyPath, policyTarget, renderPolicy } from './options.ts';

export const policyDelete = defineCommand({
  name: 'iot dps policy delete',
  summary: 'Delete a shared access policy of a provisioning service.',
  details: 'Whoever has a key of it is refused from then on. Prints the policies that are left.',
  examples: [{ text: 'Delete a policy.', command: 'iot dps policy delete --dps-name dps-local --policy-name reader' }],
  options: { ...policyTarget, noWait: noWaitOption },
  async run(values, context) {
    const api = await openMusterApi(context);
    await api.send({ method: 'DELETE', path: policyPath(values, api) });
    return expectList(await api.send({ method: 'GET', path: policiesPath(values.dpsName, api) })).map(renderPolicy);
  },
});
