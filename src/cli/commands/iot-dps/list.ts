import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { expectList, renderDps } from '../arm-shapes.ts';

export const dpsList = defineCommand({
  name: 'iot dps list',
  summary: 'List provisioning services.',
  examples: [{ text: 'List them as a table.', command: 'iot dps list -o table' }],
  options: { ...azureOptions },
  async run(_values, context) {
    const api = await openMusterApi(context);
    return expectList(await api.send({ method: 'GET', path: '/dps' })).map(renderDps);
  },
});
