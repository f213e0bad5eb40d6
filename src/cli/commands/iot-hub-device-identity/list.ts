import { defineCommand } from '../../grammar/command.ts';
import { flag, integer } from '../../grammar/option.ts';
import { hubTarget, openHub } from '../hub-options.ts';
import { readTop } from '../top.ts';

export const deviceIdentityList = defineCommand({
  name: 'iot hub device-identity list',
  summary: 'List the devices of a hub.',
  examples: [
    {
      text: 'List devices with their status.',
      command:
        'iot hub device-identity list --hub-name hub-local --query "[].{device:deviceId, status:status, connection:connectionState}" -o table',
    },
  ],
  options: {
    top: integer(['--top'], 'Maximum number of elements to return. Use -1 for unlimited.', { defaultText: '1000' }),
    edgeEnabled: flag(['--edge-enabled', '--ee'], 'Edge devices only.'),
    ...hubTarget,
  },
  async run(values, context) {
    const top = readTop(values.top ?? 1000);
    const service = await openHub(values, context);
    const query = values.edgeEnabled === true ? 'select * from devices where capabilities.iotEdge = true' : 'select * from devices';
    return service.query({ method: 'POST', path: '/devices/query', body: { query } }, top);
  },
});
