import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { required, text } from '../../grammar/option.ts';
import { renderDps } from '../arm-shapes.ts';
import { dpsPath } from '../resource-path.ts';

export const dpsShow = defineCommand({
  name: 'iot dps show',
  summary: 'Get the details of a provisioning service.',
  examples: [{ text: 'Show the ID scope that devices need.', command: 'iot dps show --name dps-local --query properties.idScope -o tsv' }],
  options: { name: required(text(['--name', '-n', '--dps-name'], 'Name of the provisioning service.')), ...azureOptions },
  async run({ name }, context) {
    const api = await openMusterApi(context);
    return renderDps(await api.send({ method: 'GET', path: dpsPath(name, api.service) }));
  },
});
