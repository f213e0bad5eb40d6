import { defineCommand } from '../../grammar/command.ts';
import { etagOption } from '../dps-options.ts';
import { deviceIdOption, devicePath, hubTarget, openHub, quotedEtag } from '../hub-options.ts';

export const deviceIdentityDelete = defineCommand({
  name: 'iot hub device-identity delete',
  summary: 'Delete a device of a hub; it loses its live connections at once.',
  examples: [
    { text: 'Delete a device.', command: 'iot hub device-identity delete --hub-name hub-local --device-id sensor-thl-002' },
    {
      text: 'The same with a connection string.',
      command:
        "iot hub device-identity delete --login 'HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey={key}' -d sensor-thl-002",
    },
  ],
  options: { deviceId: deviceIdOption, etag: etagOption, ...hubTarget },
  async run(values, context) {
    const service = await openHub(values, context);
    await service.send({ method: 'DELETE', path: devicePath(values.deviceId), ifMatch: quotedEtag(values.etag) });
    return undefined;
  },
});
