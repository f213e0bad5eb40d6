import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { renderLinkedHubs } from '../arm-shapes.ts';
import { dpsPath } from '../resource-path.ts';
import { dpsNameOption } from './options.ts';

export const linkedHubList = defineCommand({
  name: 'iot dps linked-hub list',
  summary: 'List the hubs that devices can be assigned to.',
  examples: [{ text: 'List them as a table.', command: 'iot dps linked-hub list --dps-name dps-local -o table' }],
  options: { dpsName: dpsNameOption, ...azureOptions },
  async run({ dpsName }, context) {
    const api = await openMusterApi(context);
    return renderLinkedHubs(await api.send({ method: 'GET', path: dpsPath(dpsName, api.service) }));
  },
});
