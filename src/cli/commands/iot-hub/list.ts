import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { expectList, renderHub } from '../arm-shapes.ts';

export const hubList = defineCommand({
  name: 'iot hub list',
  summary: 'List hubs.',
  examples: [{ text: 'List names and host names.', command: 'iot hub list --query "[].{name:name, host:properties.hostName}" -o table' }],
  options: { ...azureOptions },
  async run(_values, context) {
    const api = await openMusterApi(context);
    return expectList(await api.send({ method: 'GET', path: '/hubs' })).map(renderHub);
  },
});
