import { deriveDeviceKey } from '../../../access/device-key.ts';
import { failure, usageError } from '../../exit-code.ts';
import { type Command, defineCommand } from '../../grammar/command.ts';
import { required, text } from '../../grammar/option.ts';
import { type CommandContext } from '../../context.ts';
import { dpsTarget, openDps } from '../dps-options.ts';
import { objectAt } from '../enrollment-body.ts';
import { readKeys } from '../enrollment-update.ts';
import { groupIdSpellings, groupPath } from './options.ts';

export const groupComputeDeviceKey = defineComputeDeviceKey('iot dps enrollment-group compute-device-key');
/** az keeps the older spelling, too. */
export const dpsComputeDeviceKey = defineComputeDeviceKey('iot dps compute-device-key');

function defineComputeDeviceKey(name: string): Command {
  return defineCommand({
    name,
    summary: 'Derive the key of one device from the symmetric key of its enrollment group.',
    details: 'The registration ID is taken as it is spelled. With --key nothing is asked of a service.',
    examples: [
      { text: 'From the key of the group.', command: `${name} --key @group.key --registration-id sensor-thl-002` },
      { text: 'From the group itself.', command: `${name} --dps-name dps-local --enrollment-id sensors --registration-id sensor-thl-002` },
    ],
    options: {
      registrationId: required(text(['--registration-id', '--rid'], 'ID of the device registration.')),
      symmetricKey: text(['--symmetric-key', '--key'], 'Primary or secondary key of the group, in base64.'),
      groupId: text(groupIdSpellings, 'Enrollment group ID. Required if --symmetric-key is not provided.'),
      ...dpsTarget,
    },
    async run(values, context) {
      return deriveKey(await keyOf(values, context), values.registrationId);
    },
  });
}

/** Throws for a text that is not the base64 of a key. */
export function deriveKey(groupKey: string, registrationId: string): string {
  const bytes = Buffer.from(groupKey, 'base64');
  if (bytes.length === 0 || bytes.toString('base64') !== groupKey) {
    throw usageError('argument --symmetric-key/--key: this is not base64. Give the key as the enrollment group shows it.');
  }
  return deriveDeviceKey(bytes, registrationId);
}

async function keyOf(
  values: {
    readonly symmetricKey: string | undefined;
    readonly groupId: string | undefined;
    readonly dpsName: string | undefined;
    readonly login: string | undefined;
  },
  context: CommandContext,
): Promise<string> {
  if (values.symmetricKey !== undefined) return values.symmetricKey;
  if (values.groupId === undefined)
    throw usageError('the following arguments are required: --symmetric-key/--key or --enrollment-id/--eid.');
  return await primaryKeyAt(groupPath(values.groupId), values, context);
}

/** The primary key of an entry that has symmetric keys. */
export async function primaryKeyAt(
  path: string,
  target: { readonly dpsName: string | undefined; readonly login: string | undefined },
  context: CommandContext,
): Promise<string> {
  const attestation = await readKeys(await openDps(target, context), path);
  const { primaryKey } = objectAt(attestation, 'symmetricKey');
  if (typeof primaryKey === 'string') return primaryKey;
  throw failure('This enrollment has no symmetric key. Devices prove themselves to it in another way.');
}
