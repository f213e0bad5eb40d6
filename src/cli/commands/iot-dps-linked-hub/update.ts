import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { flag, integer, text } from '../../grammar/option.ts';
import { findLinkedHub, linkedHubOption } from './linked-hub.ts';
import { dpsNameOption } from './options.ts';

export const linkedHubUpdate = defineCommand({
  name: 'iot dps linked-hub update',
  summary: 'Update how devices are assigned to a linked hub. Devices move when they register again, if their enrollment lets them.',
  examples: [
    {
      text: 'Give a hub twice the share of devices.',
      command: 'iot dps linked-hub update --dps-name dps-local --linked-hub hub-b --allocation-weight 2',
    },
    {
      text: 'Send no new devices to a hub, unless an enrollment names it.',
      command: 'iot dps linked-hub update --dps-name dps-local --linked-hub hub-b --apply-allocation-policy false',
    },
  ],
  options: {
    dpsName: dpsNameOption,
    linkedHub: linkedHubOption,
    applyAllocationPolicy: flag(['--apply-allocation-policy'], 'Whether the allocation policy may choose this hub.'),
    allocationWeight: integer(['--allocation-weight'], 'Share of the devices, against the weights of the other hubs.'),
    location: text(['--location', '-l'], 'Location of the hub, for the allocation policy geoLatency. az has no such option.'),
    noWait: flag(['--no-wait'], 'Accepted for az, and ignored.'),
    ...azureOptions,
  },
  async run(values, context) {
    const api = await openMusterApi(context);
    const { hub, path } = await findLinkedHub(api, values);
    const body = {
      location: values.location ?? hub['location'] ?? null,
      applyAllocationPolicy: values.applyAllocationPolicy ?? hub['applyAllocationPolicy'] ?? null,
      allocationWeight: values.allocationWeight ?? hub['allocationWeight'] ?? null,
    };
    await api.send({ method: 'PUT', path, body });
    return (await findLinkedHub(api, values)).hub;
  },
});
