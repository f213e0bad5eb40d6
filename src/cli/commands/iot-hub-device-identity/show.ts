import { isJsonObject } from '../../../kernel/json.ts';
import { defineCommand } from '../../grammar/command.ts';
import { deviceIdOption, devicePath, hubTarget, openHub } from '../hub-options.ts';

export const deviceIdentityShow = defineCommand({
  name: 'iot hub device-identity show',
  summary: 'Get the details of a device of a hub.',
  examples: [
    {
      text: 'Is the device enabled, and is it connected?',
      command:
        'iot hub device-identity show --hub-name hub-local --device-id sensor-thl-002 --query "{status:status, connection:connectionState}" -o table',
    },
  ],
  options: { deviceId: deviceIdOption, ...hubTarget },
  async run(values, context) {
    const service = await openHub(values, context);
    const device = await service.send({ method: 'GET', path: devicePath(values.deviceId) });
    return isJsonObject(device) ? { ...device, hub: service.hostName } : device;
  },
});
