import { required, text } from '../../grammar/option.ts';

export const dpsNameOption = required(text(['--dps-name'], 'Name of the provisioning service.'));
