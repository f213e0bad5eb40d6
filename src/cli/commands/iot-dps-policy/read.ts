import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { expectList } from '../arm-shapes.ts';
import { dpsNameOption } from '../iot-dps-linked-hub/options.ts';
import { policiesPath, policyPath, policyTarget, renderPolicy } from './options.ts';

export const policyList = defineCommand({
  name: 'iot dps policy list',
  summary: 'List the shared access policies of a provisioning service, with their keys.',
  examples: [
    {
      text: 'List who may do what.',
      command: "iot dps policy list --dps-name dps-local --query '[].{name:keyName,rights:rights}' -o table",
    },
  ],
  options: { dpsName: dpsNameOption, ...azureOptions },
  async run({ dpsName }, context) {
    const api = await openMusterApi(context);
    return expectList(await api.send({ method: 'GET', path: policiesPath(dpsName, api) })).map(renderPolicy);
  },
});

export const policyShow = defineCommand({
  name: 'iot dps policy show',
  summary: 'Show a shared access policy of a provisioning service, with its keys.',
  examples: [
    {
      text: 'Show the primary key of a policy.',
      command: 'iot dps policy show --dps-name dps-local --policy-name provisioningserviceowner --query primaryKey -o tsv',
    },
  ],
  options: policyTarget,
  async run(values, context) {
    const api = await openMusterApi(context);
    return renderPolicy(await api.send({ method: 'GET', path: policyPath(values, api) }));
  },
});
