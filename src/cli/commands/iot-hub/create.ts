import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { integer, list, required, text } from '../../grammar/option.ts';
import { renderHub } from '../arm-shapes.ts';

const ignored = 'Accepted for az, and ignored.';

export const hubCreate = defineCommand({
  name: 'iot hub create',
  summary: 'Create a hub on the running service.',
  details: 'Link it with `muster iot dps linked-hub create`, so that devices are assigned to it.',
  examples: [
    { text: 'Create a hub.', command: 'iot hub create --name hub-b' },
    { text: 'Create one with a host name of your own.', command: 'iot hub create --name hub-b --host-name hub-b.plant.example' },
  ],
  options: {
    name: required(text(['--name', '-n', '--hub-name'], 'Name of the hub.')),
    hostName: text(['--host-name'], 'Host name that devices use for it. Chosen by the service when absent.'),
    location: text(['--location', '-l'], ignored),
    sku: text(['--sku'], ignored),
    unit: integer(['--unit'], ignored),
    partitionCount: integer(['--partition-count'], ignored),
    tags: list(['--tags'], ignored),
    ...azureOptions,
  },
  async run(values, context) {
    const api = await openMusterApi(context);
    const body = { name: values.name, ...(values.hostName === undefined ? {} : { hostName: values.hostName }) };
    return renderHub(await api.send({ method: 'POST', path: '/hubs', body }));
  },
});
