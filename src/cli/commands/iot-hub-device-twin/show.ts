import { defineCommand } from '../../grammar/command.ts';
import { deviceIdOption, hubTarget, openHub, twinPath } from '../hub-options.ts';

export const deviceTwinShow = defineCommand({
  name: 'iot hub device-twin show',
  summary: 'Get the twin of a device.',
  examples: [
    {
      text: 'What did the device report last?',
      command: 'iot hub device-twin show --hub-name hub-local --device-id sensor-thl-002 --query properties.reported',
    },
  ],
  options: { deviceId: deviceIdOption, ...hubTarget },
  async run(values, context) {
    const service = await openHub(values, context);
    return service.send({ method: 'GET', path: twinPath(values.deviceId) });
  },
});
