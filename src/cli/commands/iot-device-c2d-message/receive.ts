import type { IncomingHttpHeaders } from 'node:http';

import type { Json } from '../../../kernel/json.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { flag, integer } from '../../grammar/option.ts';
import { deviceIdOption, hubTarget, openHub } from '../hub-options.ts';
import { settleMessage, type Settlement } from './settlement.ts';

/** System properties in the order and spelling of az. */
const systemHeaders = [
  'iothub-messageid',
  'iothub-correlationid',
  'iothub-sequencenumber',
  'iothub-to',
  'iothub-userid',
  'iothub-ack',
  'iothub-expiry',
  'iothub-deliverycount',
  'iothub-enqueuedtime',
  'ContentType',
  'ContentEncoding',
];
const applicationPrefix = 'iothub-app-';

export const messageReceive = defineCommand({
  name: 'iot device c2d-message receive',
  summary: 'Receive a cloud-to-device message.',
  details: 'Prints nothing when no message waits. Without one of the flags the message is locked, and comes again when its lock ends.',
  examples: [
    { text: 'Receive a message and complete it.', command: 'iot device c2d-message receive -d sensor-thl-002 -n hub-local --complete' },
    { text: 'Lock one for ten seconds.', command: 'iot device c2d-message receive -d sensor-thl-002 -n hub-local --lock-timeout 10' },
  ],
  options: {
    deviceId: deviceIdOption,
    lockTimeout: integer(['--lock-timeout', '--lt'], 'Seconds for which nobody else receives the message.', { defaultText: '60' }),
    complete: flag(['--complete'], 'Complete the message.'),
    abandon: flag(['--abandon'], 'Put the message back.'),
    reject: flag(['--reject'], 'Reject the message.'),
    ...hubTarget,
  },
  async run(values, context) {
    const chosen = (['complete', 'abandon', 'reject'] as const).filter((settlement) => values[settlement] === true);
    if (chosen.length > 1) throw usageError('Only one of --complete, --abandon and --reject can be given.');
    const service = await openHub(values, context);
    const answer = await service.exchange({
      method: 'GET',
      path: `/devices/${encodeURIComponent(values.deviceId)}/messages/deviceBound`,
      ...(values.lockTimeout === undefined ? {} : { headers: { 'iothub-messagelocktimeout': String(values.lockTimeout) } }),
    });
    if (answer.status === 204) return undefined;
    const etag = textOf(answer.headers, 'etag').replaceAll('"', '');
    const [settlement] = chosen satisfies readonly Settlement[];
    if (settlement !== undefined) await settleMessage(service, { deviceId: values.deviceId, etag, settlement });
    return {
      properties: propertiesOf(answer.headers),
      etag,
      ...(settlement === undefined ? {} : { ack: settlement }),
      ...(answer.body === '' ? {} : { data: answer.body }),
    };
  },
});

function propertiesOf(headers: IncomingHttpHeaders): Json {
  const names = Object.keys(headers).filter((name) => name.startsWith(applicationPrefix));
  const app = Object.fromEntries(names.map((name) => [name.slice(applicationPrefix.length), textOf(headers, name)]));
  const system = Object.fromEntries(
    systemHeaders.filter((name) => headers[name.toLowerCase()] !== undefined).map((name) => [name, textOf(headers, name.toLowerCase())]),
  );
  return { ...(names.length === 0 ? {} : { app }), system };
}

function textOf(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : (value ?? '');
}
