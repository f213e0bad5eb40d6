import { idsOf } from '../../../contracts/hub/identity-path.ts';
import { limits } from '../../../contracts/limits.ts';
import type { Hub, MessageReceiver } from '../../../hub/service.ts';
import { assertNever } from '../../../kernel/assert-never.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { AmqpDelivery, AmqpLink, LinkHandler } from '../engine/binding.ts';
import type { AmqpErrors } from '../errors.ts';
import { parseHubAddress, type ServiceNode } from './address.ts';
import { closeReceiver } from './devicebound.ts';
import { readHubMessage, renderFeedbackMessage } from './hub-message.ts';
import { lockedDelivery } from './locked-delivery.ts';

export interface ServiceLinkDeps {
  readonly hub: Pick<Hub, 'cloudToDevice' | 'feedback'>;
  readonly errors: AmqpErrors;
  readonly log: Logger;
  /** Whether the connection's token still lets a service act; throws when it does not. Asked for every message. */
  readonly authorize: () => Promise<void>;
}

/** What services do over AMQP (hub chapters 7.1 and 7.2). `hubName` is the hub that the connection is for. */
export async function attachService(deps: ServiceLinkDeps, hubName: string, { link, node }: ServiceAttach): Promise<LinkHandler> {
  requireDirection(link, node);
  await deps.authorize();
  switch (node) {
    case 'devicebound':
      return { maxMessageBytes: limits.telemetryBytes, message: (delivery) => send(deps, hubName, delivery) };
    case 'feedback':
      return openFeedback(deps, hubName, link);
    case 'file-notifications':
      throw new ServiceError('NotImplemented', 'This hub takes no file uploads, so there are no notifications of them.');
    case 'other':
      throw new ServiceError('NotImplemented', 'This service endpoint is not served over AMQP yet.');
    default:
      return assertNever(node);
  }
}

interface ServiceAttach {
  readonly link: AmqpLink;
  readonly node: ServiceNode;
}

function requireDirection(link: AmqpLink, node: ServiceNode): void {
  const fits = node === 'other' || (node === 'devicebound') === (link.peerIs === 'sender');
  if (!fits) throw new ServiceError('AmqpAddressNotFound', `There is nothing for a ${link.peerIs} at this address.`);
}

async function send({ hub, authorize }: ServiceLinkDeps, hubName: string, { message, format }: AmqpDelivery): Promise<void> {
  await authorize();
  if (format !== 0) throw new ServiceError('ArgumentInvalid', 'Messages to devices are sent one by one.');
  const to = parseHubAddress(message.properties.to ?? '');
  if (to?.kind !== 'device' || to.endpoint !== 'devicebound') {
    throw new ServiceError('ArgumentInvalid', 'The property to is /devices/{deviceId}/messages/devicebound.');
  }
  if (idsOf(to.path).moduleId !== undefined) {
    throw new ServiceError('NotImplemented', 'Messages go to devices; modules get theirs through the routes of an edge hub.');
  }
  await hub.cloudToDevice.send(hubName, to.path, readHubMessage(message));
}

function openFeedback({ hub, errors, log, authorize }: ServiceLinkDeps, hubName: string, link: AmqpLink): LinkHandler {
  let authorizing: Promise<void> = Promise.resolve();
  const receiver: MessageReceiver = hub.feedback.openReceiver(hubName, {
    deliver(locked) {
      // A link may outlive its token; what it is told must not.
      authorizing = authorize().then(
        () => link.deliver(lockedDelivery(locked, renderFeedbackMessage(locked), () => receiver)),
        (thrown: unknown) => link.detach(errors.render(thrown)),
      );
    },
    lockEnded: () => {},
  });
  return {
    maxMessageBytes: limits.telemetryBytes,
    credit: (messages) => receiver.setCredit(messages),
    async rest() {
      await receiver.rest();
      await authorizing;
    },
    closed: () => closeReceiver(receiver, log),
  };
}
