import { parseReceived } from '../../device/received.ts';
import { inboxPath, settlementRequest, settlements } from '../../device/settlement.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { flag, integer } from '../../grammar/option.ts';
import { deviceIdOption, hubTarget, openHub } from '../hub-options.ts';

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
    const chosen = settlements.filter((settlement) => values[settlement] === true);
    if (chosen.length > 1) throw usageError('Only one of --complete, --abandon and --reject can be given.');
    const service = await openHub(values, context);
    const { deviceId, lockTimeout } = values;
    const message = parseReceived(
      await service.exchange({
        method: 'GET',
        path: inboxPath(deviceId),
        ...(lockTimeout === undefined ? {} : { headers: { 'iothub-messagelocktimeout': String(lockTimeout) } }),
      }),
    );
    if (message === undefined) return undefined;
    const { etag, properties, data } = message;
    const [settlement] = chosen;
    if (settlement !== undefined) await service.send(settlementRequest({ deviceId, etag, settlement }));
    return { properties, etag, ...(settlement === undefined ? {} : { ack: settlement }), ...(data === undefined ? {} : { data }) };
  },
});
