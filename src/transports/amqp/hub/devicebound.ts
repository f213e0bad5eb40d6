import { limits } from '../../../contracts/limits.ts';
import type { DeviceGrant, DeviceMessages, MessageReceiver } from '../../../hub/service.ts';
import type { Logger } from '../../../kernel/logger.ts';
import type { AmqpLink, LinkHandler } from '../engine/binding.ts';
import { renderCloudMessage } from './hub-message.ts';
import { lockedDelivery } from './locked-delivery.ts';

/** Brings a device the messages that wait for it, over one link (hub chapter 4.6). */
export async function openDevicebound(
  deps: { readonly deviceMessages: DeviceMessages; readonly log: Logger; readonly grant: () => DeviceGrant },
  link: AmqpLink,
): Promise<LinkHandler> {
  const { deviceId } = deps.grant();
  // Nothing is delivered before there is credit, and by then there is a receiver.
  let opened: MessageReceiver | undefined;
  const receiver = await deps.deviceMessages.openReceiver(deps.grant, {
    deliver: (locked) => link.deliver(lockedDelivery(locked, renderCloudMessage(locked, deviceId), () => opened)),
    // The peer still has the delivery. What it decides comes too late, and it is told so then.
    lockEnded: () => {},
  });
  opened = receiver;
  return {
    maxMessageBytes: limits.telemetryBytes,
    credit: (messages) => receiver.setCredit(messages),
    rest: () => receiver.rest(),
    closed: () => closeReceiver(receiver, deps.log),
  };
}

/** Nobody waits for a link that is gone: what goes wrong is told to the log, and the locks end by themselves. */
export function closeReceiver(receiver: MessageReceiver, log: Logger): void {
  receiver.close().catch((error: unknown) => log.warn('amqp.receiver.close-failed', { error }));
}
