import { parseConnectionString } from '../../../contracts/connection-string.ts';
import { type MusterApi, openMusterApi } from '../../client/muster-api.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { flag, integer, text } from '../../grammar/option.ts';
import { expectObject, renderLinkedHubs } from '../arm-shapes.ts';
import { dpsPath, hubPath } from '../resource-path.ts';
import { dpsNameOption } from './options.ts';
import { jsonText } from '../../json-text.ts';

export const linkedHubCreate = defineCommand({
  name: 'iot dps linked-hub create',
  summary: 'Link a hub, so that devices can be assigned to it.',
  examples: [
    { text: 'Link a hub by its name.', command: 'iot dps linked-hub create --dps-name dps-local --hub-name hub-b' },
    {
      text: 'Link a hub that takes three times as many devices as others.',
      command: 'iot dps linked-hub create --dps-name dps-local --hub-name hub-b --allocation-weight 3 --apply-allocation-policy true',
    },
  ],
  options: {
    dpsName: dpsNameOption,
    hubName: text(['--hub-name', '--hn'], 'Name of the hub.'),
    hubResourceGroup: text(['--hub-resource-group', '--hrg'], 'Accepted for az, and ignored.'),
    connectionString: text(['--connection-string'], 'Connection string of the hub; only its host name is used.'),
    location: text(['--location', '-l'], 'Location that is written down for the hub.', { defaultText: 'local' }),
    applyAllocationPolicy: flag(['--apply-allocation-policy'], 'Whether the allocation policy may choose this hub.', {
      defaultText: 'true',
    }),
    allocationWeight: integer(['--allocation-weight'], 'Share of the devices, against the weights of the other hubs.', {
      defaultText: '1',
    }),
    noWait: flag(['--no-wait'], 'Accepted for az, and ignored.'),
    ...azureOptions,
  },
  async run(values, context) {
    const api = await openMusterApi(context);
    const hostName = await hostNameOf(values, api);
    const body = {
      location: values.location ?? 'local',
      applyAllocationPolicy: values.applyAllocationPolicy ?? true,
      allocationWeight: values.allocationWeight ?? 1,
    };
    const path = dpsPath(values.dpsName, api.service);
    await api.send({ method: 'PUT', path: `${path}/linked-hubs/${encodeURIComponent(hostName)}`, body });
    return renderLinkedHubs(await api.send({ method: 'GET', path }));
  },
});

async function hostNameOf(
  { hubName, connectionString }: { readonly hubName: string | undefined; readonly connectionString: string | undefined },
  api: MusterApi,
): Promise<string> {
  if (connectionString !== undefined) return parseConnectionString(connectionString).hostName.replace(/:\d+$/u, '');
  if (hubName === undefined) throw usageError('Provide --hub-name or --connection-string of the hub.');
  const hub = expectObject(await api.send({ method: 'GET', path: hubPath(hubName, api.service) }), 'a hub');
  return jsonText(hub['hostName']);
}
