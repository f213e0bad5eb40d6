import { limits } from '../../../contracts/limits.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { AmqpLink, LinkHandler } from '../engine/binding.ts';
import type { AmqpMessage } from '../engine/message.ts';
import { amqpInt } from '../engine/values.ts';
import type { AmqpErrors } from '../errors.ts';

/**
 * The `$cbs` node of a connection (hub chapter 4.3). `putToken` judges and takes a token; what it throws becomes the
 * status of the answer.
 */
export function createCbs(deps: { readonly errors: AmqpErrors; readonly putToken: (sasToken: string) => Promise<void> }): {
  attach(link: AmqpLink): LinkHandler;
} {
  const receivers = new Set<AmqpLink>();
  let last: Promise<void> = Promise.resolve();

  const answer = async (message: AmqpMessage): Promise<void> => {
    const { messageId, replyTo } = message.properties;
    const { status, description } = await judge(message);
    receiverFor(receivers, replyTo)?.send({
      // In the type of the message-id: uamqp compares types, too.
      ...(messageId === undefined ? {} : { correlationId: messageId }),
      ...(replyTo === undefined ? {} : { to: replyTo }),
      applicationProperties: { 'status-code': amqpInt(status), 'status-description': description },
    });
  };
  const judge = async (message: AmqpMessage): Promise<{ readonly status: number; readonly description: string }> => {
    try {
      await deps.putToken(readToken(message));
      return { status: 200, description: 'OK' };
    } catch (thrown) {
      return deps.errors.renderTokenStatus(thrown);
    }
  };

  return {
    attach(link) {
      // No more than a token fits: nobody who comes here has proved anything yet.
      const maxMessageBytes = limits.unauthenticatedBytes;
      if (link.peerIs === 'receiver') {
        receivers.add(link);
        return { maxMessageBytes, isProvisional: true, closed: () => void receivers.delete(link) };
      }
      return {
        maxMessageBytes,
        isProvisional: true,
        async message({ message }) {
          if (receivers.size === 0) throw new ServiceError('ArgumentInvalid', 'Attach a receiver at $cbs before putting tokens.');
          const turn = (): Promise<void> => answer(message);
          last = last.then(turn, turn);
          await last;
        },
      };
    },
  };
}

/** C# names the address of its receiver in reply-to; others write `cbs` or nothing and have one receiver. */
function receiverFor(receivers: ReadonlySet<AmqpLink>, replyTo: string | undefined): AmqpLink | undefined {
  const all = [...receivers];
  return all.find((link) => link.peerAddress !== '' && link.peerAddress === replyTo) ?? all.at(-1);
}

function readToken({ applicationProperties, body }: AmqpMessage): string {
  if (applicationProperties.get('operation') !== 'put-token')
    throw new ServiceError('ArgumentInvalid', 'The operation at $cbs is put-token.');
  if (applicationProperties.get('type') !== 'servicebus.windows.net:sastoken') {
    throw new ServiceError('ArgumentInvalid', 'Tokens here are of the type servicebus.windows.net:sastoken.');
  }
  if (body.kind === 'value' && typeof body.value === 'string') return body.value;
  throw new ServiceError('ArgumentInvalid', 'The token is text, in one AMQP value.');
}
