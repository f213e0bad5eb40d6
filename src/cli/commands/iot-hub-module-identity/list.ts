import { defineCommand } from '../../grammar/command.ts';
import { integer } from '../../grammar/option.ts';
import { deviceIdOption, devicePath, hubTarget, openHub } from '../hub-options.ts';
import { readTop } from '../top.ts';

export const moduleIdentityList = defineCommand({
  name: 'iot hub module-identity list',
  summary: 'List the modules of a device.',
  examples: [{ text: 'List them as a table.', command: 'iot hub module-identity list -n hub-local -d sensor-thl-002 -o table' }],
  options: {
    deviceId: deviceIdOption,
    top: integer(['--top'], 'Maximum number of elements to return. Use -1 for unlimited.', { defaultText: '1000' }),
    ...hubTarget,
  },
  async run(values, context) {
    const top = readTop(values.top ?? 1000);
    const service = await openHub(values, context);
    const modules = await service.send({ method: 'GET', path: `${devicePath(values.deviceId)}/modules` });
    return Array.isArray(modules) ? modules.slice(0, top) : modules;
  },
});
