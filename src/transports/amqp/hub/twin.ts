import type { DeviceGrant, DevicePlane } from '../../../hub/service.ts';
import type { Json, JsonObject } from '../../../kernel/json.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { AmqpDelivery, AmqpLink } from '../engine/binding.ts';
import { parseJsonBody } from '../engine/json-body.ts';
import type { AmqpMessage, OutgoingMessage } from '../engine/message.ts';
import type { Typed } from '../engine/rhea.ts';
import { amqpInt, amqpLong } from '../engine/values.ts';
import type { AmqpErrors } from '../errors.ts';
import { channelId } from './channel.ts';

const reportedResource = '/properties/reported';
const desiredResource = '/notifications/twin/properties/desired';

/** Where the answers to a sender with the same `channel-correlation-id` go, and notifications once it asked for them. */
interface Channel {
  readonly receiver: AmqpLink;
  subscribed: boolean;
}

/** The twin of one device over its links (hub chapter 4.7). */
export interface TwinLinks {
  /** Where a receiver is attached, answers and notifications go. */
  attachReceiver(link: AmqpLink): void;
  /** Either end is gone. */
  detached(link: AmqpLink): void;
  request(link: AmqpLink, delivery: AmqpDelivery): Promise<void>;
  notifyDesired(patch: JsonObject): void;
}

export function createTwinLinks(deps: {
  readonly devicePlane: Pick<DevicePlane, 'getTwin' | 'patchReported'>;
  readonly errors: AmqpErrors;
  /** Asked for each request: a renewed token brings another grant. */
  readonly grant: () => DeviceGrant;
}): TwinLinks {
  const channels = new Map<string, Channel>();
  let last: Promise<void> = Promise.resolve();

  const answer = async (channel: Channel, message: AmqpMessage): Promise<void> => {
    const { correlationId } = message.properties;
    const correlated = correlationId === undefined ? {} : { correlationId };
    try {
      const done = await perform(deps, channel, message);
      channel.receiver.send({ ...correlated, ...done });
    } catch (thrown) {
      const { status, body } = deps.errors.renderAnswer(thrown);
      channel.receiver.send({ ...correlated, annotations: { status: amqpInt(status) }, body: Buffer.from(body) });
    }
  };

  return {
    attachReceiver(link) {
      // A receiver that comes anew has not asked for notifications yet.
      channels.set(channelId(link), { receiver: link, subscribed: false });
    },
    detached(link) {
      if (channels.get(channelId(link))?.receiver === link) channels.delete(channelId(link));
    },
    async request(link, { message }) {
      const channel = channels.get(channelId(link));
      if (channel === undefined) {
        throw new ServiceError('ArgumentInvalid', 'Attach a twin receiver with the same channel-correlation-id before sending requests.');
      }
      // One after the other: two patches of one device have an order.
      const turn = (): Promise<void> => answer(channel, message);
      last = last.then(turn, turn);
      await last;
    },
    notifyDesired(patch) {
      const version = patch['$version'];
      const annotations: Record<string, Typed | string> = { resource: desiredResource };
      if (typeof version === 'number') annotations['version'] = amqpLong(version);
      for (const { receiver, subscribed } of channels.values()) {
        // Without a correlation id: with any, C# and Node take it for an answer.
        if (subscribed) receiver.send({ annotations, body: Buffer.from(JSON.stringify(patch)) });
      }
    },
  };
}

async function perform(
  { devicePlane, grant }: Parameters<typeof createTwinLinks>[0],
  channel: Channel,
  message: AmqpMessage,
): Promise<OutgoingMessage> {
  const resource = text(message, 'resource').toLowerCase();
  const done = { annotations: { status: amqpInt(200) }, body: Buffer.alloc(0) };
  switch (text(message, 'operation').toUpperCase()) {
    case 'GET':
      return { ...done, body: Buffer.from(JSON.stringify(await devicePlane.getTwin(grant()))) };
    case 'PATCH': {
      if (resource !== reportedResource) throw unknownResource();
      const version = await devicePlane.patchReported(grant(), readPatch(message), readVersion(message));
      return { ...done, annotations: { ...done.annotations, version: amqpLong(version) } };
    }
    case 'PUT':
    case 'DELETE':
      if (resource !== desiredResource) throw unknownResource();
      channel.subscribed = text(message, 'operation').toUpperCase() === 'PUT';
      return done;
    default:
      throw new ServiceError('ArgumentInvalid', 'The annotation operation is GET, PATCH, PUT or DELETE.');
  }
}

function readPatch(message: AmqpMessage): Json {
  const patch = parseJsonBody(message.body, 'ArgumentInvalid');
  if (patch === undefined) throw new ServiceError('ArgumentInvalid', 'The body is empty.');
  return patch;
}

function readVersion({ annotations }: AmqpMessage): number | undefined {
  const version = annotations.get('version');
  if (version === undefined || version === null) return undefined;
  if (typeof version === 'number' && Number.isInteger(version)) return version;
  throw new ServiceError('ArgumentInvalid', 'The annotation version is a whole number.');
}

function text({ annotations }: AmqpMessage, name: string): string {
  const value = annotations.get(name);
  return typeof value === 'string' ? value : '';
}

const unknownResource = (): ServiceError => new ServiceError('ArgumentInvalid', 'This resource of a twin does not exist.');
