import type { DeviceTwin } from '../../contracts/hub/device.ts';
import {
  type DeviceDoor,
  type DeviceIdentity,
  type DeviceTransport,
  type HubConnection,
  type Inbox,
  type MethodAccess,
  type ProvisioningConversation,
  type ProvisioningReply,
  Refusal,
} from './door.ts';
import { parseReply } from './https.ts';
import { parseBag, renderBag } from './message.ts';
import { type MqttResponse, type MqttSession, openMqttSession } from './mqtt-session.ts';
import { registerBody } from './register.ts';
import { openTls, openWebSocket } from './socket.ts';
import { deviceToken, registrationToken } from './token.ts';

const dpsVersion = '2021-06-01';
const hubVersion = '2021-04-12';
const desiredPrefix = '$iothub/twin/PATCH/properties/desired/';

export const mqttTransport: DeviceTransport = {
  name: 'mqtt',
  door: 'mqtts',
  defaultPort: 8883,
  provision: async (door, identity) => provision(await openTls(door), door, identity),
  connect: async (door, deviceId) => connectHub(await openTls(door), door, deviceId),
};

export const mqttWebSocketTransport: DeviceTransport = {
  name: 'mqtt-ws',
  door: 'https',
  defaultPort: 443,
  provision: async (door, identity) => provision(await openWebSocket(door, 'mqtt'), door, identity),
  connect: async (door, deviceId) => connectHub(await openWebSocket(door, 'mqtt'), door, deviceId),
};

type Stream = Awaited<ReturnType<typeof openTls>>;

/** Topics of the provisioning service (reference 1.5.3). */
async function provision(stream: Stream, door: DeviceDoor, identity: DeviceIdentity): Promise<ProvisioningConversation> {
  const { idScope, registrationId } = identity;
  const username = `${idScope}/registrations/${registrationId}/api-version=${dpsVersion}&ClientVersion=muster`;
  const session = await openMqttSession(stream, { clientId: registrationId, username, password: registrationToken(door, identity) });
  await session.subscribe('$dps/registrations/res/#');
  const ask = async (topic: (requestId: string) => string, body: string): Promise<ProvisioningReply> =>
    toReply(await orRefusal(session.request(topic, body), session));
  return {
    register: () => ask((id) => `$dps/registrations/PUT/iotdps-register/?$rid=${id}`, JSON.stringify(registerBody(identity))),
    poll: (operationId) =>
      ask((id) => `$dps/registrations/GET/iotdps-get-operationstatus/?$rid=${id}&operationId=${encodeURIComponent(operationId)}`, ' '),
    close: () => session.close(),
  };
}

/** Topics of the hub (reference 3.3). */
async function connectHub(stream: Stream, door: DeviceDoor, deviceId: string): Promise<HubConnection> {
  const model = door.modelId === undefined ? '' : `&model-id=${door.modelId}`;
  const username = `${door.hostName}/${deviceId}/?api-version=${hubVersion}&DeviceClientType=muster${model}`;
  const session = await openMqttSession(stream, { clientId: deviceId, username, password: deviceToken(door, deviceId) });
  await session.subscribe('$iothub/twin/res/#');
  return {
    twin: {
      get: async () => {
        const response = await session.request((id) => `$iothub/twin/GET/?$rid=${id}`, ' ');
        return JSON.parse(accepted(response).body) as DeviceTwin;
      },
      report: async (patch) => {
        const response = await session.request((id) => `$iothub/twin/PATCH/properties/reported/?$rid=${id}`, JSON.stringify(patch));
        const version = accepted(response).query.get('$version');
        return version === null ? undefined : Number(version);
      },
      onDesired: async (listener) => {
        session.onMessage(desiredPrefix, (body) => listener(parseReply(body)));
        await session.subscribe(`${desiredPrefix}#`);
      },
    },
    methods: openMethods(session),
    inbox: openInbox(session, deviceId),
    send: (message) => session.publish(`devices/${deviceId}/messages/events/${renderBag(message)}`, message.body),
    dropped: session.dropped,
    close: () => session.close(),
  };
}

/** Direct methods (hub reference 3.7). */
function openMethods(session: MqttSession): MethodAccess {
  const prefix = '$iothub/methods/POST/';
  return {
    onCall: async (answer) => {
      session.onMessage(prefix, (body, topic) => {
        const [, name = '', id = ''] = /^([^/]+)\/\?\$rid=(.+)$/u.exec(topic.slice(prefix.length)) ?? [];
        const { status, payload } = answer({ id, name, payload: parseReply(body) });
        // What breaks this breaks the connection, which has a listener of its own.
        session.publish(`$iothub/methods/res/${status}/?$rid=${id}`, JSON.stringify(payload)).catch(() => undefined);
      });
      await session.subscribe(`${prefix}#`);
    },
  };
}

/** Cloud-to-device messages (hub reference 3.5): the acknowledgement that the client sends completes them. */
function openInbox(session: MqttSession, deviceId: string): Inbox {
  const prefix = `devices/${deviceId}/messages/devicebound/`;
  return {
    kind: 'pushed',
    onMessage: async (listener) => {
      session.onMessage(prefix, (body, topic) => listener({ topic, body, properties: parseBag(topic.slice(prefix.length)) }));
      await session.subscribe(`${prefix}#`);
    },
  };
}

function orRefusal<T>(work: Promise<T>, { dropped }: MqttSession): Promise<T> {
  const refused = dropped.then((reason): never => {
    throw new Refusal(reason);
  });
  return Promise.race([work, refused]);
}

function toReply({ status, query, body }: MqttResponse): ProvisioningReply {
  const retryAfter = Number(query.get('retry-after'));
  return { status, body: parseReply(body), ...(retryAfter > 0 ? { retryAfterSeconds: retryAfter } : {}) };
}

function accepted(response: MqttResponse): MqttResponse {
  if (response.status < 300) return response;
  throw new Refusal(`the hub answered ${response.status} ${response.body}`.trim());
}
