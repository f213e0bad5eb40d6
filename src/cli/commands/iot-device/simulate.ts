import { createSteps } from '../../device/steps.ts';
import { settlements } from '../../device/settlement.ts';
import { usageError } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { choice, integer, text } from '../../grammar/option.ts';
import { readJson, readJsonObject } from '../json-argument.ts';
import { deviceSide, openDoor, readHeaderProperties, readProperties } from './as-device.ts';

const protocols = ['http', 'mqtt'] as const;
const common = { '$.ct': 'application/json', '$.ce': 'utf-8' } as const;

export const deviceSimulate = defineLiveCommand({
  name: 'iot device simulate',
  summary: 'Simulate a device of a hub: send messages, take cloud-to-device ones, answer methods, follow the desired properties.',
  details:
    'Prints a line per step, or with --output json an object per step. Over MQTT (on the port of HTTPS, as az does) messages are completed by their receipt, methods are answered, and desired properties are reported back; over HTTPS messages are fetched every three seconds and settled as told.',
  examples: [
    { text: 'Simulate a device.', command: 'iot device simulate -d sensor-thl-002 -n hub-local' },
    {
      text: 'Answer every method in the same way.',
      command: `iot device simulate -d sensor-thl-002 -n hub-local --method-response-code 201 --method-response-payload '{"result":"done"}'`,
    },
    {
      text: 'Over HTTPS, and refuse what the cloud sends.',
      command: "iot device simulate -d sensor-thl-002 -n hub-local --protocol http --rs reject --properties 'iothub-app-room=lab'",
    },
  ],
  options: {
    data: text(['--data', '--da'], 'Text of the messages.', { defaultText: 'Ping from Muster' }),
    properties: text(
      ['--properties', '--props', '-p'],
      "Properties as 'key=value;$.cid=value2'; over HTTPS as 'iothub-app-key=value;iothub-correlationid=value2'.",
    ),
    messages: integer(['--msg-count', '--mc'], 'How many messages to send.', { defaultText: '100' }),
    interval: integer(['--msg-interval', '--mi'], 'Seconds between messages.', { defaultText: '3' }),
    settlement: choice(['--receive-settle', '--rs'], settlements, 'What becomes of cloud-to-device messages; over HTTPS only.', {
      defaultText: 'complete',
    }),
    protocol: choice(['--protocol', '--proto'], protocols, 'How to reach the hub.', { defaultText: 'mqtt' }),
    methodCode: integer(['--method-response-code', '--mrc'], 'Status that methods are answered with; over MQTT only.', {
      defaultText: '200',
    }),
    methodPayload: text(
      ['--method-response-payload', '--mrp'],
      'JSON that methods are answered with: inline, or the path of a file. Default: what the method was called with. Over MQTT only.',
    ),
    reported: text(
      ['--init-reported-properties', '--irp'],
      'Reported properties to begin with: JSON, or the path of a file. Over MQTT only.',
    ),
    ...deviceSide,
  },
  async run(values, context) {
    const { protocol = 'mqtt', settlement = 'complete', messages = 100, interval = 3 } = values;
    if (messages < 1) throw usageError('argument --msg-count/--mc: must be 1 or more.');
    if (interval < 1) throw usageError('argument --msg-interval/--mi: must be 1 or more.');
    if (protocol === 'mqtt' && settlement !== 'complete')
      throw usageError('argument --receive-settle/--rs: over MQTT a message can only be completed. Give --protocol http for the others.');
    if (protocol === 'http') refuseMqttOnly(values);
    const own = protocol === 'http' ? readHeaderProperties(values.properties) : readProperties(values.properties);
    const [{ liveAtHub }, { deviceTransports }, payload, reported] = await Promise.all([
      import('../../device/live.ts'),
      import('../../device/transports.ts'),
      values.methodPayload === undefined ? undefined : readJson(values.methodPayload, '--method-response-payload/--mrp'),
      values.reported === undefined ? undefined : readJsonObject(values.reported, '--init-reported-properties/--irp'),
    ]);
    return liveAtHub({
      transport: deviceTransports[protocol === 'http' ? 'https' : 'mqtt-ws'],
      door: await openDoor(values, protocol, context),
      deviceId: values.deviceId,
      data: values.data ?? 'Ping from Muster',
      properties: { ...common, ...own },
      messages,
      intervalSeconds: interval,
      settlement,
      method: { status: values.methodCode ?? 200, ...(payload === undefined ? {} : { payload }) },
      ...(reported === undefined ? {} : { reported }),
      steps: createSteps(context.print, context.isForProgram && context.output === 'json'),
    });
  },
});

function refuseMqttOnly(given: {
  readonly methodCode: number | undefined;
  readonly methodPayload: string | undefined;
  readonly reported: string | undefined;
}): void {
  const [flag] = [
    given.methodCode === undefined ? [] : ['--method-response-code/--mrc'],
    given.methodPayload === undefined ? [] : ['--method-response-payload/--mrp'],
    given.reported === undefined ? [] : ['--init-reported-properties/--irp'],
  ].flat();
  if (flag !== undefined) throw usageError(`argument ${flag}: over HTTPS there are neither methods nor twins. Leave --protocol http out.`);
}
