import { defineCommand } from '../../grammar/command.ts';
import { deviceIdOption, devicePath, hubTarget, openHub } from '../hub-options.ts';

export const messagePurge = defineCommand({
  name: 'iot device c2d-message purge',
  summary: 'Purge the cloud-to-device messages that wait for a device.',
  examples: [{ text: 'Empty the queue of a device.', command: 'iot device c2d-message purge -d sensor-thl-002 -n hub-local' }],
  options: { deviceId: deviceIdOption, ...hubTarget },
  async run(values, context) {
    const service = await openHub(values, context);
    return service.send({ method: 'DELETE', path: `${devicePath(values.deviceId)}/commands` });
  },
});
