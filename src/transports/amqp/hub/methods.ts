import { createPendingCalls, type PendingCalls, readMethodAnswer } from '../../../hub/methods/pending-calls.ts';
import type { MethodCall, MethodOutcome } from '../../../hub/ports.ts';
import type { Ids } from '../../../kernel/ids.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { AmqpDelivery, AmqpLink } from '../engine/binding.ts';
import { bodyBytes } from '../engine/message.ts';
import { uuidId } from '../engine/values.ts';
import { channelId } from './channel.ts';

/** The two links of one `channel-correlation-id`: calls go out on one, answers come in on the other. */
interface Channel {
  receiver?: AmqpLink;
  sender?: AmqpLink;
  readonly calls: PendingCalls;
}

/** Direct methods of one device over its links (hub chapter 4.8). */
export interface MethodLinks {
  attached(link: AmqpLink): void;
  detached(link: AmqpLink): void;
  answer(link: AmqpLink, delivery: AmqpDelivery): void;
  /** `undefined` while the device has not attached both links. */
  call(call: MethodCall, signal: AbortSignal): Promise<MethodOutcome> | undefined;
}

export function createMethodLinks(deps: {
  readonly ids: Ids;
  /** Called when both links of a channel are there. */
  readonly onReady: () => void;
}): MethodLinks {
  const channels = new Map<string, Channel>();

  return {
    attached(link) {
      const id = channelId(link);
      // C# demands a GUID as the correlation id.
      const channel: Channel = channels.get(id) ?? { calls: createPendingCalls(() => deps.ids.guid()) };
      channels.set(id, channel);
      channel[link.peerIs] = link;
      if (channel.receiver !== undefined && channel.sender !== undefined) deps.onReady();
    },
    detached(link) {
      const channel = channels.get(channelId(link));
      if (channel?.[link.peerIs] !== link) return;
      channels.delete(channelId(link));
      channel.calls.end();
    },
    answer(link, { message }) {
      const { correlationId } = message.properties;
      const status = message.applicationProperties.get('IoThub-status');
      if (correlationId === undefined || typeof status !== 'number' || !Number.isInteger(status)) {
        throw new ServiceError(
          'ArgumentInvalid',
          'An answer has the correlation-id of its call and the application property IoThub-status.',
        );
      }
      const outcome = readMethodAnswer(status, bodyBytes(message.body) ?? Buffer.from('not bytes'));
      // Nobody waits any more for an answer that comes late, which is no mistake of the device.
      channels.get(channelId(link))?.calls.answer(correlationId.text.toLowerCase(), outcome);
    },
    call({ name, payload }, signal) {
      const channel = [...channels.values()].findLast(({ receiver, sender }) => receiver !== undefined && sender !== undefined);
      return channel?.calls.begin(signal, (callId) =>
        channel.receiver?.send({
          correlationId: uuidId(callId),
          applicationProperties: { 'IoThub-methodname': name },
          body: Buffer.from(JSON.stringify(payload)),
        }),
      );
    },
  };
}
