import { randomUUID } from 'node:crypto';

import type { Message } from 'rhea';

import type { DeviceTwin } from '../../contracts/hub/device.ts';
import { isJsonObject, type Json } from '../../kernel/json.ts';
import {
  type AmqpSession,
  type AmqpUser,
  bodyText,
  dataBody,
  jsonBody,
  openAmqpSession,
  RejectedDelivery,
  sendAccepted,
} from './amqp-session.ts';
import {
  type DeviceDoor,
  type DeviceIdentity,
  type DeviceTransport,
  type HubConnection,
  type ProvisioningConversation,
  type ProvisioningReply,
  Refusal,
  type TwinAccess,
} from './door.ts';
import { parseReply } from './https.ts';
import { renderAmqp } from './message.ts';
import { registerBody } from './register.ts';
import { openTls, openWebSocket } from './socket.ts';
import { deviceToken, registrationToken } from './token.ts';
import { deferred } from './waiting.ts';

const dpsVersion = '2021-06-01';
const hubVersion = '2021-04-12';
const clientVersion = { 'com.microsoft:client-version': 'muster' };

export const amqpTransport: DeviceTransport = {
  name: 'amqp',
  door: 'amqps',
  defaultPort: 5671,
  provision: async (door, identity) =>
    provision(await openAmqpSession(await openTls(door), door.hostName, registrant(door, identity)), identity),
  connect: async (door, deviceId) =>
    connectHub(await openAmqpSession(await openTls(door), door.hostName, device(door, deviceId)), deviceId),
};

export const amqpWebSocketTransport: DeviceTransport = {
  name: 'amqp-ws',
  door: 'https',
  defaultPort: 443,
  provision: async (door, identity) => provision(await overWebSocket(door, registrant(door, identity)), identity),
  connect: async (door, deviceId) => connectHub(await overWebSocket(door, device(door, deviceId)), deviceId),
};

async function overWebSocket(door: DeviceDoor, user: AmqpUser | undefined): Promise<AmqpSession> {
  return openAmqpSession(await openWebSocket(door, 'AMQPWSB10'), door.hostName, user);
}

/** Without a certificate the token goes as the password of SASL PLAIN (reference 1.6.1; hub reference 4.1). */
function registrant(door: DeviceDoor, identity: DeviceIdentity): AmqpUser | undefined {
  return userWith(`${identity.idScope}/registrations/${identity.registrationId}`, registrationToken(door, identity));
}

function device(door: DeviceDoor, deviceId: string): AmqpUser | undefined {
  return userWith(`${deviceId}@sas.${door.hostName.split('.')[0]}`, deviceToken(door, deviceId));
}

function userWith(username: string, password: string | undefined): AmqpUser | undefined {
  return password === undefined ? undefined : { username, password };
}

type Waiting = Map<string, (message: Message) => void>;

/** Links of the provisioning service (reference 1.6.3): both on the same address, the receiver first. */
async function provision(session: AmqpSession, identity: DeviceIdentity): Promise<ProvisioningConversation> {
  const { idScope, registrationId } = identity;
  const link = {
    address: `${idScope}/registrations/${registrationId}`,
    properties: { 'com.microsoft:api-version': dpsVersion, ...clientVersion },
  };
  const waiting: Waiting = new Map();
  await session.openReceiver(link, (message) => answer(waiting, message));
  const sender = await session.openSender(link);
  const ask = async (properties: Readonly<Record<string, string>>): Promise<ProvisioningReply> => {
    const correlationId = randomUUID();
    const reply = deferred<Message>();
    waiting.set(correlationId, reply.resolve);
    try {
      await sendAccepted(sender, {
        correlation_id: correlationId,
        application_properties: { ...properties },
        body: jsonBody(registerBody(identity)),
      });
      return toReply(await reply.promise);
    } catch (error) {
      if (error instanceof RejectedDelivery) return rejectedReply(error);
      throw error;
    } finally {
      waiting.delete(correlationId);
    }
  };
  return {
    register: () => orRefusal(ask({ 'iotdps-operation-type': 'iotdps-register' }), session),
    poll: (operationId) =>
      orRefusal(ask({ 'iotdps-operation-type': 'iotdps-get-operationstatus', 'iotdps-operation-id': operationId }), session),
    close: () => session.close(),
  };
}

/** Links of the hub (reference 4.4 to 4.7). */
async function connectHub(session: AmqpSession, deviceId: string): Promise<HubConnection> {
  const telemetry = await session.openSender({
    address: `/devices/${deviceId}/messages/events`,
    properties: { 'com.microsoft:api-version': hubVersion, ...clientVersion },
  });
  return {
    twin: await openTwin(session, deviceId),
    send: (message) => sendAccepted(telemetry, { ...renderAmqp(message), body: dataBody(message.body) }),
    dropped: session.dropped,
    close: () => session.close(),
  };
}

async function openTwin(session: AmqpSession, deviceId: string): Promise<TwinAccess> {
  const properties = {
    'com.microsoft:api-version': hubVersion,
    'com.microsoft:channel-correlation-id': `twin:${randomUUID()}`,
    ...clientVersion,
  };
  const link = { address: `/devices/${deviceId}/twin`, properties, settled: true };
  const waiting: Waiting = new Map();
  let desired: (patch: Json) => void = () => undefined;
  const sender = await session.openSender(link);
  await session.openReceiver(link, (message) => {
    // A notification is told from an answer by its lack of a correlation id.
    if (message.correlation_id === undefined || message.correlation_id === null) desired(parseReply(bodyText(message)));
    else answer(waiting, message);
  });
  const ask = async (operation: string, resource?: string, body?: Json): Promise<Message> => {
    const correlationId = randomUUID();
    const reply = deferred<Message>();
    waiting.set(correlationId, reply.resolve);
    const annotations = { operation, ...(resource === undefined ? {} : { resource }) };
    sender.send({ correlation_id: correlationId, message_annotations: annotations, body: jsonBody(body ?? null) });
    return accepted(await reply.promise.finally(() => waiting.delete(correlationId)));
  };
  return {
    get: async () => JSON.parse(bodyText(await ask('GET'))) as DeviceTwin,
    report: async (patch) => {
      const version = Number((await ask('PATCH', '/properties/reported', patch)).message_annotations?.['version']);
      return Number.isFinite(version) ? version : undefined;
    },
    onDesired: async (listener) => {
      desired = listener;
      await ask('PUT', '/notifications/twin/properties/desired');
    },
  };
}

function answer(waiting: Waiting, message: Message): void {
  waiting.get(String(message.correlation_id))?.(message);
}

function accepted(message: Message): Message {
  const status = Number(message.message_annotations?.['status']);
  if (status < 300) return message;
  throw new Refusal(`the hub answered ${status} ${bodyText(message)}`.trim());
}

function toReply(message: Message): ProvisioningReply {
  const body = parseReply(bodyText(message));
  const status = isJsonObject(body) && (body['status'] === 'assigning' || body['status'] === 'unassigned') ? 202 : 200;
  const retryAfter = Number(message.application_properties?.['retry-after']);
  return { status, body, ...(retryAfter > 0 ? { retryAfterSeconds: retryAfter } : {}) };
}

/** The description of a rejection is the JSON body of the error; its code divided by 1000 is the status. */
function rejectedReply({ description, message, retryAfterSeconds }: RejectedDelivery): ProvisioningReply {
  const code = isJsonObject(description) ? Number(description['errorCode']) : Number.NaN;
  const retry = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  if (Number.isFinite(code)) return { status: Math.floor(code / 1000), body: description, ...retry };
  return { status: 400, body: { message }, ...retry };
}

function orRefusal<T>(work: Promise<T>, { dropped }: AmqpSession): Promise<T> {
  const refused = dropped.then((reason): never => {
    throw new Refusal(reason);
  });
  return Promise.race([work, refused]);
}
