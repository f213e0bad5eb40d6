import { isJsonObject } from '../../../kernel/json.ts';
import { failure, usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { genericUpdateOptions } from '../../grammar/global-options.ts';
import { changeDevice, deviceForUpdate } from '../device-body.ts';
import { deviceSettings } from '../device-options.ts';
import { etagOption } from '../dps-options.ts';
import { applyGenericUpdate } from '../generic-update.ts';
import { deviceIdOption, devicePath, hubTarget, openHub, quotedEtag } from '../hub-options.ts';

export const deviceIdentityUpdate = defineCommand({
  name: 'iot hub device-identity update',
  summary: 'Update a device of a hub.',
  details:
    'Use --set with property assignments, or the arguments that stand for the common ones. A device that is disabled loses its live connections at once.',
  examples: [
    { text: 'Disable a device.', command: 'iot hub device-identity update --hub-name hub-local --device-id device-001 --status disabled' },
    {
      text: 'The same with a property assignment.',
      command: 'iot hub device-identity update -n hub-local -d device-001 --set status=disabled',
    },
  ],
  options: { deviceId: deviceIdOption, etag: etagOption, ...deviceSettings, ...genericUpdateOptions, ...hubTarget },
  async run(values, context) {
    const service = await openHub(values, context);
    const path = devicePath(values.deviceId);
    const device = await service.send({ method: 'GET', path });
    if (!isJsonObject(device)) throw failure('The hub answered with something that is not a device.');
    const changed = applyGenericUpdate(changeDevice(device, values), values);
    if (changed['deviceId'] !== device['deviceId']) throw usageError('The device ID cannot be changed. Create another device.');
    return service.send({ method: 'PUT', path, body: deviceForUpdate(changed), ifMatch: quotedEtag(values.etag) });
  },
});
