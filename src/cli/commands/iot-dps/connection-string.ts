import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { text } from '../../grammar/option.ts';
import { connectionStringOptions, policyOption, readConnectionString } from '../connection-strings.ts';
import { dpsPath } from '../resource-path.ts';

const defaultPolicy = 'provisioningserviceowner';

export const dpsConnectionStringShow = defineCommand({
  name: 'iot dps connection-string show',
  summary: 'Show the connection strings of provisioning services.',
  examples: [
    {
      text: 'Show the connection string of one, for an SDK.',
      command: 'iot dps connection-string show -n dps-local --query connectionString -o tsv',
    },
    { text: 'Show those of all.', command: 'iot dps connection-string show' },
  ],
  options: {
    dpsName: text(['--dps-name', '-n'], 'Name of the provisioning service. All of them when absent.'),
    policyName: policyOption(defaultPolicy),
    ...connectionStringOptions,
    ...azureOptions,
  },
  async run({ dpsName, ...values }, context) {
    const api = await openMusterApi(context);
    const choice = { ...values, policyName: values.policyName ?? defaultPolicy };
    const read = (name: string) => readConnectionString(api, dpsPath(name, api.service), choice);
    if (dpsName !== undefined) return { connectionString: await read(dpsName) };
    return Promise.all(api.service.endpoints.dps.map(async ({ name }) => ({ name, connectionString: await read(name) })));
  },
});
