import type { ServiceClient } from '../client/service-client.ts';
import { openHubService } from '../client/targets.ts';
import type { CommandContext } from '../context.ts';
import { authTypeOption, azureOptions } from '../grammar/global-options.ts';
import { required, text } from '../grammar/option.ts';

const group = 'IoT Hub Identifier';

/** How commands for the hub's service API name the hub. */
export const hubTarget = {
  hubName: text(['--hub-name', '-n'], 'Name or host name of the hub. Required if --login is not provided.', { group }),
  login: text(['--login', '-l'], 'Connection string of the hub; needs no data folder. It takes precedence over --hub-name.', { group }),
  authType: authTypeOption,
  ...azureOptions,
} as const;

export const deviceIdOption = required(text(['--device-id', '-d'], 'Target device ID.'));

export const devicePath = (id: string): string => `/devices/${encodeURIComponent(id)}`;
export const twinPath = (id: string): string => `/twins/${encodeURIComponent(id)}`;

/** The hub takes entity tags in quotes only. */
export const quotedEtag = (etag: string | undefined): string => `"${(etag ?? '*').replace(/^"|"$/gu, '')}"`;

export function openHub(
  values: { readonly hubName: string | undefined; readonly login: string | undefined },
  context: CommandContext,
): Promise<ServiceClient> {
  return openHubService({ name: values.hubName, login: values.login }, context);
}
