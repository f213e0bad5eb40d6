import { openDpsService } from '../client/targets.ts';
import type { ServiceClient } from '../client/service-client.ts';
import type { CommandContext } from '../context.ts';
import { authTypeOption, azureOptions } from '../grammar/global-options.ts';
import { integer, text } from '../grammar/option.ts';

const group = 'Device Provisioning Service Identifier';

/** How commands for the service API name the provisioning service. */
export const dpsTarget = {
  dpsName: text(['--dps-name', '-n'], 'Name or host name of the provisioning service. Required if --login is not provided.', { group }),
  login: text(
    ['--login', '-l'],
    'Connection string of the provisioning service; needs no data folder. It takes precedence over --dps-name.',
    {
      group,
    },
  ),
  authType: authTypeOption,
  ...azureOptions,
} as const;

export const etagOption = text(
  ['--etag', '-e'],
  "Entity tag of the state that you know. Without it the value '*' is used, which matches any state.",
);
export const topOption = integer(['--top'], 'Maximum number of elements to return. Use -1 for unlimited.');

export function openDps(
  values: { readonly dpsName: string | undefined; readonly login: string | undefined },
  context: CommandContext,
): Promise<ServiceClient> {
  return openDpsService({ name: values.dpsName, login: values.login }, context);
}
