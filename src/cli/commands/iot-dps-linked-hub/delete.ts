import { openMusterApi } from '../../client/muster-api.ts';
import { notFound } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { flag, required, text } from '../../grammar/option.ts';
import { renderLinkedHubs } from '../arm-shapes.ts';
import { dpsPath } from '../resource-path.ts';
import { dpsNameOption } from './options.ts';
import { jsonText } from '../../json-text.ts';

export const linkedHubDelete = defineCommand({
  name: 'iot dps linked-hub delete',
  summary: 'Unlink a hub; devices that are there stay there.',
  examples: [{ text: 'Unlink a hub by its name.', command: 'iot dps linked-hub delete --dps-name dps-local --linked-hub hub-b' }],
  options: {
    dpsName: dpsNameOption,
    linkedHub: required(text(['--linked-hub'], 'Name or host name of the linked hub.')),
    noWait: flag(['--no-wait'], 'Accepted for az, and ignored.'),
    ...azureOptions,
  },
  async run({ dpsName, linkedHub }, context) {
    const api = await openMusterApi(context);
    const path = dpsPath(dpsName, api.service);
    const linked = renderLinkedHubs(await api.send({ method: 'GET', path })).map(({ name }) => jsonText(name));
    const wanted = linkedHub.toLowerCase();
    const byName = linked.find((hostName) => hostName.toLowerCase() === wanted || hostName.toLowerCase().split('.')[0] === wanted);
    const hostName = byName ?? api.service.endpoints.hubs.find((hub) => hub.name.toLowerCase() === wanted)?.hostName;
    if (hostName === undefined || !linked.includes(hostName)) {
      throw notFound(`The hub '${linkedHub}' is not linked. Linked are: ${linked.length === 0 ? 'none' : linked.join(', ')}.`);
    }
    await api.send({ method: 'DELETE', path: `${path}/linked-hubs/${encodeURIComponent(hostName)}` });
    return renderLinkedHubs(await api.send({ method: 'GET', path }));
  },
});
