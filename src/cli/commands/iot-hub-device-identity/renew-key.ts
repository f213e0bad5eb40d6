import { randomBytes } from 'node:crypto';

import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { failure } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { choice, required } from '../../grammar/option.ts';
import { deviceForUpdate } from '../device-body.ts';
import { etagOption } from '../dps-options.ts';
import { deviceIdOption, devicePath, hubTarget, openHub, quotedEtag } from '../hub-options.ts';

const keyTypes = ['primary', 'secondary', 'both', 'swap'] as const;

export const deviceRenewKey = defineCommand({
  name: 'iot hub device-identity renew-key',
  summary: 'Renew the keys of a device.',
  details: 'A key that is replaced opens nothing from that moment; live connections of the device end, and it has to connect anew.',
  examples: [
    { text: 'Renew the primary key.', command: 'iot hub device-identity renew-key -n hub-local -d device-001 --kt primary' },
    { text: 'Swap the two keys.', command: 'iot hub device-identity renew-key -n hub-local -d device-001 --kt swap' },
  ],
  options: {
    deviceId: deviceIdOption,
    keyType: required(choice(['--key-type', '--kt'], keyTypes, 'Which key to make anew, or swap to exchange them.')),
    etag: etagOption,
    ...hubTarget,
  },
  async run(values, context) {
    const service = await openHub(values, context);
    const path = devicePath(values.deviceId);
    const device = await service.send({ method: 'GET', path });
    const authentication = isJsonObject(device) ? device['authentication'] : undefined;
    if (!isJsonObject(device) || !isJsonObject(authentication)) throw failure('The hub answered with something that is not a device.');
    if (authentication['type'] !== 'sas') throw failure('The device does not use symmetric keys.');
    const symmetricKey = renew(authentication['symmetricKey'], values.keyType);
    const body = deviceForUpdate({ ...device, authentication: { ...authentication, symmetricKey } });
    // Against the identity that was read: another change in between must not be undone.
    const etag = values.etag ?? (typeof device['etag'] === 'string' ? device['etag'] : undefined);
    return service.send({ method: 'PUT', path, body, ifMatch: quotedEtag(etag) });
  },
});

function renew(keys: Json | undefined, which: (typeof keyTypes)[number]): JsonObject {
  const { primaryKey = null, secondaryKey = null } = isJsonObject(keys) ? keys : {};
  if (which === 'swap') return { primaryKey: secondaryKey, secondaryKey: primaryKey };
  const fresh = (): string => randomBytes(32).toString('base64');
  return {
    primaryKey: which === 'secondary' ? primaryKey : fresh(),
    secondaryKey: which === 'primary' ? secondaryKey : fresh(),
  };
}
