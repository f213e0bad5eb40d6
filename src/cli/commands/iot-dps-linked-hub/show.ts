import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { findLinkedHub, linkedHubOption } from './linked-hub.ts';
import { dpsNameOption } from './options.ts';

export const linkedHubShow = defineCommand({
  name: 'iot dps linked-hub show',
  summary: 'Show the details of a linked hub.',
  examples: [
    { text: 'Show its weight.', command: 'iot dps linked-hub show --dps-name dps-local --linked-hub hub-b --query allocationWeight' },
  ],
  options: { dpsName: dpsNameOption, linkedHub: linkedHubOption, ...azureOptions },
  run: async (values, context) => (await findLinkedHub(await openMusterApi(context), values)).hub,
});
