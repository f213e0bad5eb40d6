import { randomUUID } from 'node:crypto';

import rhea from 'rhea';

import { ackModes } from '../../../contracts/hub/message.ts';
import { openCloudMessages } from '../../client/cloud-messages.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { choice, flag, integer, text } from '../../grammar/option.ts';
import { readInput } from '../certificate-file.ts';
import { deviceIdOption, hubTarget } from '../hub-options.ts';
import { readPairs } from '../pairs.ts';

export const messageSend = defineCommand({
  name: 'iot device c2d-message send',
  summary: 'Send a cloud-to-device message.',
  details:
    'The message waits for the device, an hour unless told otherwise. With --wait the command waits until the device has settled it.',
  examples: [
    { text: 'Send a message.', command: "iot device c2d-message send -d sensor-thl-002 -n hub-local --data 'Hello'" },
    {
      text: 'Send one with properties, and wait for what becomes of it.',
      command: "iot device c2d-message send -d sensor-thl-002 -n hub-local --data 'Hello' -p 'colour=blue;size=3' --ack full --wait",
    },
  ],
  options: {
    deviceId: deviceIdOption,
    data: text(['--data', '--da'], 'Message body.', { defaultText: 'Ping from Muster' }),
    dataFilePath: text(['--data-file-path', '--dfp'], 'File with the message body.'),
    properties: text(['--properties', '--props', '-p'], "Properties as 'key=value;key2=value2'."),
    ack: choice(['--ack'], ackModes, 'Which ends of the message to report as feedback.'),
    messageId: text(['--message-id', '--mid'], 'Message ID. Default: a new GUID.'),
    correlationId: text(['--correlation-id', '--cid'], 'Correlation ID.'),
    userId: text(['--user-id', '--uid'], 'User ID.'),
    contentType: text(['--content-type', '--ct'], 'Content type of the body.'),
    contentEncoding: text(['--content-encoding', '--ce'], 'Encoding of the body.', { defaultText: 'utf-8' }),
    expiry: integer(['--expiry-time-utc', '--expiry'], 'When the message expires, in milliseconds since 1970.'),
    wait: flag(['--wait', '-w'], 'Wait for the feedback, and print it; implies --ack full unless told otherwise.'),
    yes: flag(['--yes', '-y'], 'Accepted for the sake of scripts; nothing is asked.'),
    repair: flag(['--repair', '-r'], 'Accepted for az, and ignored.'),
    ...hubTarget,
  },
  async run(values, context) {
    if (values.data !== undefined && values.dataFilePath !== undefined) throw usageError('Give --data or --data-file-path, not both.');
    const { wait = false, messageId = randomUUID() } = values;
    const ack = values.ack ?? (wait ? 'full' : 'none');
    if (wait && ack === 'none') throw usageError('--wait needs an --ack other than none.');
    if (values.expiry !== undefined && values.expiry < Date.now())
      throw usageError('argument --expiry-time-utc/--expiry: this is in the past.');
    const body = values.dataFilePath === undefined ? (values.data ?? 'Ping from Muster') : await readInput(values.dataFilePath, 'file');
    const service = await openCloudMessages({ name: values.hubName, login: values.login }, context);
    try {
      await service.send({
        to: `/devices/${encodeURIComponent(values.deviceId)}/messages/devicebound`,
        message_id: messageId,
        content_encoding: values.contentEncoding ?? 'utf-8',
        ...(values.correlationId === undefined ? {} : { correlation_id: values.correlationId }),
        // The types want text; the field is binary.
        ...(values.userId === undefined ? {} : { user_id: Buffer.from(values.userId) as unknown as string }),
        ...(values.contentType === undefined ? {} : { content_type: values.contentType }),
        ...(values.expiry === undefined ? {} : { absolute_expiry_time: new Date(values.expiry) }),
        application_properties: { ...readPairs(values.properties, '--properties'), 'iothub-ack': ack },
        body: rhea.message.data_section(Buffer.from(body)),
      });
      return wait ? await service.feedbackOn(messageId) : undefined;
    } finally {
      await service.close();
    }
  },
});
