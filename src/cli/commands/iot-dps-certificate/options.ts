import { azureOptions } from '../../grammar/global-options.ts';
import { required, text } from '../../grammar/option.ts';

export const certificateTarget = {
  dpsName: required(text(['--dps-name'], 'Name of the provisioning service.')),
  certificateName: required(text(['--certificate-name', '--name', '-n'], 'A friendly name for the certificate.')),
  ...azureOptions,
} as const;

export const pathOption = (help: string) => required(text(['--path', '-p'], help));
export const etagOption = text(
  ['--etag', '-e'],
  "Entity tag of the certificate. Without it the value '*' is used, which matches any state.",
);
