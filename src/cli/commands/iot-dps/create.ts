import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { choice, flag, integer, list, required, text } from '../../grammar/option.ts';
import { renderDps } from '../arm-shapes.ts';

const ignored = 'Accepted for az, and ignored.';

export const dpsCreate = defineCommand({
  name: 'iot dps create',
  summary: 'Create a provisioning service on the running service.',
  examples: [
    { text: 'Create a provisioning service.', command: 'iot dps create --name dps-plant' },
    { text: 'Create one with a host name of your own.', command: 'iot dps create --name dps-plant --host-name dps.plant.example' },
  ],
  options: {
    name: required(text(['--name', '-n', '--dps-name'], 'Name of the provisioning service.')),
    hostName: text(['--host-name'], 'Host name that devices and operators use for it. Chosen by the service when absent.'),
    location: text(['--location', '-l'], ignored),
    sku: choice(['--sku'], ['S1'] as const, ignored),
    unit: integer(['--unit'], ignored),
    tags: list(['--tags'], ignored),
    dataResidency: flag(['--enable-data-residency', '--edr'], ignored),
    ...azureOptions,
  },
  async run(values, context) {
    const api = await openMusterApi(context);
    const body = { name: values.name, ...(values.hostName === undefined ? {} : { hostName: values.hostName }) };
    return renderDps(await api.send({ method: 'POST', path: '/dps', body }));
  },
});
