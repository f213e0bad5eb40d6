import { isJsonObject } from '../../../kernel/json.ts';
import { failure } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { choice } from '../../grammar/option.ts';
import { deviceIdOption, devicePath, hubTarget, openHub } from '../hub-options.ts';

export const deviceConnectionStringShow = defineCommand({
  name: 'iot hub device-identity connection-string show',
  summary: 'Show the connection string of a device.',
  examples: [
    {
      text: 'For an SDK.',
      command: 'iot hub device-identity connection-string show -n hub-local -d device-001 --query connectionString -o tsv',
    },
  ],
  options: {
    deviceId: deviceIdOption,
    keyType: choice(['--key-type', '--kt'], ['primary', 'secondary'] as const, 'Which key of the device.', { defaultText: 'primary' }),
    ...hubTarget,
  },
  async run(values, context) {
    const service = await openHub(values, context);
    const device = await service.send({ method: 'GET', path: devicePath(values.deviceId) });
    const authentication = isJsonObject(device) ? device['authentication'] : undefined;
    if (!isJsonObject(authentication)) throw failure('The hub answered with something that is not a device.');
    const who = `HostName=${service.hostName};DeviceId=${values.deviceId}`;
    if (authentication['type'] === 'selfSigned' || authentication['type'] === 'certificateAuthority') {
      return { connectionString: `${who};x509=true` };
    }
    const keys = authentication['symmetricKey'];
    const key = isJsonObject(keys) ? keys[values.keyType === 'secondary' ? 'secondaryKey' : 'primaryKey'] : undefined;
    if (typeof key !== 'string') throw failure(`The device ${values.deviceId} has no symmetric key.`);
    return { connectionString: `${who};SharedAccessKey=${key}` };
  },
});
