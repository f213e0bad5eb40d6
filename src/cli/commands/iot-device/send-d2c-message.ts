import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { integer, text } from '../../grammar/option.ts';
import { readInput } from '../certificate-file.ts';
import { deviceSide, openDoor, readProperties } from './as-device.ts';

export const sendTelemetry = defineCommand({
  name: 'iot device send-d2c-message',
  summary: 'Send a device-to-cloud message.',
  details: 'Connects as the device, over MQTT on the port of HTTPS, with the key that the hub has of it unless another proof is given.',
  examples: [
    { text: 'Send a message as a device.', command: `iot device send-d2c-message -d sensor-thl-002 -n hub-local --data '{"celsius":21}'` },
    {
      text: 'With application and system properties.',
      command: "iot device send-d2c-message -d sensor-thl-002 -n hub-local --props 'room=lab;$.ct=application/json;$.ce=utf-8'",
    },
    {
      text: 'As a device with a certificate.',
      command: 'iot device send-d2c-message -d sensor-thl-002 -n hub-local --cp ./sensor-thl-002.cert.pem --kp ./sensor-thl-002.key.pem',
    },
  ],
  options: {
    data: text(['--data', '--da'], 'Message body.', { defaultText: 'Ping from Muster' }),
    dataFilePath: text(['--data-file-path', '--dfp'], 'File with the message body.'),
    properties: text(['--properties', '--props', '-p'], "Properties as 'key=value;$.cid=value2'."),
    messages: integer(['--msg-count', '--mc'], 'How many times to send it.', { defaultText: '1' }),
    ...deviceSide,
  },
  async run(values, context) {
    if (values.data !== undefined && values.dataFilePath !== undefined) throw usageError('Give --data or --data-file-path, not both.');
    const { messages = 1 } = values;
    if (messages < 1) throw usageError('argument --msg-count/--mc: must be 1 or more.');
    const properties = readProperties(values.properties);
    const body = values.dataFilePath === undefined ? (values.data ?? 'Ping from Muster') : await readInput(values.dataFilePath, 'data');
    const [{ deviceTransports }, { sendMessages }] = await Promise.all([
      import('../../device/transports.ts'),
      import('../../device/send-messages.ts'),
    ]);
    const door = await openDoor(values, 'mqtt', context);
    await sendMessages(deviceTransports['mqtt-ws'].connect(door, values.deviceId), { body, properties }, messages);
    return undefined;
  },
});
