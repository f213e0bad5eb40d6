import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { required, text } from '../../grammar/option.ts';
import { renderHub } from '../arm-shapes.ts';
import { hubPath } from '../resource-path.ts';

export const hubShow = defineCommand({
  name: 'iot hub show',
  summary: 'Get the details of a hub.',
  examples: [{ text: 'Show the host name.', command: 'iot hub show --name hub-local --query properties.hostName -o tsv' }],
  options: { name: required(text(['--name', '-n', '--hub-name'], 'Name of the hub.')), ...azureOptions },
  async run({ name }, context) {
    const api = await openMusterApi(context);
    return renderHub(await api.send({ method: 'GET', path: hubPath(name, api.service) }));
  },
});
