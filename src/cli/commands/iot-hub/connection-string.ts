import { openMusterApi } from '../../client/muster-api.ts';
import { failure } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { flag, text } from '../../grammar/option.ts';
import { connectionStringOptions, policyOption, readConnectionString } from '../connection-strings.ts';
import { hubPath } from '../resource-path.ts';

const defaultPolicy = 'iothubowner';

export const hubConnectionStringShow = defineCommand({
  name: 'iot hub connection-string show',
  summary: 'Show the connection strings of hubs.',
  examples: [
    {
      text: 'Show the connection string of one, for an SDK.',
      command: 'iot hub connection-string show -n hub-local --query connectionString -o tsv',
    },
    {
      text: 'Show the secondary one of another policy.',
      command: 'iot hub connection-string show -n hub-local --policy-name service --key-type secondary',
    },
  ],
  options: {
    hubName: text(['--hub-name', '-n'], 'Name of the hub. All of them when absent.'),
    policyName: policyOption(defaultPolicy),
    defaultEventhub: flag(['--default-eventhub', '--eh'], 'The Event Hubs-compatible endpoint; Muster has none yet.'),
    ...connectionStringOptions,
    ...azureOptions,
  },
  async run({ hubName, ...values }, context) {
    if (values.defaultEventhub === true) {
      throw failure("Hubs have no Event Hubs-compatible endpoint yet. Use 'muster iot hub monitor-events' to read telemetry.");
    }
    const api = await openMusterApi(context);
    const choice = { ...values, policyName: values.policyName ?? defaultPolicy };
    const read = (name: string) => readConnectionString(api, hubPath(name, api.service), choice);
    if (hubName !== undefined) return { connectionString: await read(hubName) };
    return Promise.all(api.service.endpoints.hubs.map(async ({ name }) => ({ name, connectionString: await read(name) })));
  },
});
