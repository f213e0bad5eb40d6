import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { flag } from '../../grammar/option.ts';
import { renderLinkedHubs } from '../arm-shapes.ts';
import { dpsPath } from '../resource-path.ts';
import { findLinkedHub, linkedHubOption } from './linked-hub.ts';
import { dpsNameOption } from './options.ts';

export const linkedHubDelete = defineCommand({
  name: 'iot dps linked-hub delete',
  summary: 'Unlink a hub; devices that are there stay there.',
  examples: [{ text: 'Unlink a hub by its name.', command: 'iot dps linked-hub delete --dps-name dps-local --linked-hub hub-b' }],
  options: {
    dpsName: dpsNameOption,
    linkedHub: linkedHubOption,
    noWait: flag(['--no-wait'], 'Accepted for az, and ignored.'),
    ...azureOptions,
  },
  async run(values, context) {
    const api = await openMusterApi(context);
    const { path } = await findLinkedHub(api, values);
    await api.send({ method: 'DELETE', path });
    return renderLinkedHubs(await api.send({ method: 'GET', path: dpsPath(values.dpsName, api.service) }));
  },
});
