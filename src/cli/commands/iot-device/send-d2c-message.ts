import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { integer, text } from '../../grammar/option.ts';
import { readInput } from '../certificate-file.ts';
import { deviceIdOption, devicePath, hubTarget, openHub } from '../hub-options.ts';
import { readPairs } from '../pairs.ts';

/** System properties as they are written on the command line, and the headers that carry them. */
const systemHeaders: Readonly<Record<string, string>> = {
  '$.mid': 'iothub-messageid',
  '$.cid': 'iothub-correlationid',
  '$.uid': 'iothub-userid',
  '$.exp': 'iothub-expiry',
  '$.ct': 'iothub-contenttype',
  '$.ce': 'iothub-contentencoding',
};

export const sendTelemetry = defineCommand({
  name: 'iot device send-d2c-message',
  summary: 'Send a device-to-cloud message.',
  examples: [
    { text: 'Send a message as a device.', command: `iot device send-d2c-message -d sensor-thl-002 -n hub-local --data '{"celsius":21}'` },
    {
      text: 'With application and system properties.',
      command: "iot device send-d2c-message -d sensor-thl-002 -n hub-local --props 'room=lab;$.ct=application/json;$.ce=utf-8'",
    },
  ],
  options: {
    deviceId: deviceIdOption,
    data: text(['--data', '--da'], 'Message body.', { defaultText: 'Ping from Muster' }),
    dataFilePath: text(['--data-file-path', '--dfp'], 'File with the message body.'),
    properties: text(['--properties', '--props', '-p'], "Properties as 'key=value;$.cid=value2'."),
    messages: integer(['--msg-count', '--mc'], 'How many times to send it.', { defaultText: '1' }),
    ...hubTarget,
  },
  async run(values, context) {
    if (values.data !== undefined && values.dataFilePath !== undefined) throw usageError('Give --data or --data-file-path, not both.');
    const bytes =
      values.dataFilePath === undefined ? Buffer.from(values.data ?? 'Ping from Muster') : await readInput(values.dataFilePath, 'file');
    const pairs = Object.entries(readPairs(values.properties, '--properties'));
    const headers = Object.fromEntries(pairs.map(([name, value]) => [headerOf(name), value]));
    const service = await openHub(values, context);
    const path = `${devicePath(values.deviceId)}/messages/events`;
    for (let sent = 0; sent < (values.messages ?? 1); sent += 1) await service.send({ method: 'POST', path, bytes, headers });
    return undefined;
  },
});

function headerOf(name: string): string {
  if (!name.startsWith('$.')) return `iothub-app-${name}`;
  const header = Object.hasOwn(systemHeaders, name) ? systemHeaders[name] : undefined;
  if (header !== undefined) return header;
  throw usageError(`argument --properties: there is no system property ${name}. There is: ${Object.keys(systemHeaders).join(', ')}.`);
}
