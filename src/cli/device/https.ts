import type { Json } from '../../kernel/json.ts';
import { type HttpAnswer, type HttpRequest, sendRequest } from '../client/http.ts';
import { describeRefusal } from '../client/service-failure.ts';
import { type DeviceDoor, type DeviceTransport, type Inbox, type ProvisioningReply, Refusal } from './door.ts';
import { type DeviceMessage, renderHeaders } from './message.ts';
import { parseReceived } from './received.ts';
import { registerBody } from './register.ts';
import { inboxPath, settlementRequest } from './settlement.ts';
import { addressOf } from './socket.ts';
import { deviceToken, registrationToken } from './token.ts';

const dpsVersion = '2021-06-01';
const hubVersion = '2021-04-12';

/** HTTPS: no connection to hold, and no twins (hub reference, chapter 5). */
export const httpsTransport: DeviceTransport = {
  name: 'https',
  door: 'https',
  defaultPort: 443,
  provision: async (door, identity) => {
    const { idScope, registrationId } = identity;
    const headers = authorization(registrationToken(door, identity));
    const base = `/${encodeURIComponent(idScope)}/registrations/${encodeURIComponent(registrationId)}`;
    return {
      register: async () =>
        toReply(
          await exchange(
            door,
            { method: 'PUT', path: `${base}/register?api-version=${dpsVersion}`, body: JSON.stringify(registerBody(identity)) },
            headers,
          ),
        ),
      poll: async (operationId) =>
        toReply(
          await exchange(
            door,
            { method: 'GET', path: `${base}/operations/${encodeURIComponent(operationId)}?api-version=${dpsVersion}` },
            headers,
          ),
        ),
      close: async () => undefined,
    };
  },
  connect: async (door, deviceId) => ({
    send: (message) => sendTelemetry(door, deviceId, message),
    inbox: openInbox(door, deviceId),
    dropped: new Promise<string>(() => undefined),
    close: async () => undefined,
  }),
};

async function sendTelemetry(door: DeviceDoor, deviceId: string, message: DeviceMessage): Promise<void> {
  const headers = { 'iothub-to': `/devices/${deviceId}/messages/events`, ...renderHeaders(message) };
  const path = `/devices/${encodeURIComponent(deviceId)}/messages/events`;
  await exchangeAs(door, deviceId, { method: 'POST', path, body: message.body, headers });
}

function openInbox(door: DeviceDoor, deviceId: string): Inbox {
  return {
    kind: 'polled',
    receive: async () => parseReceived(await exchangeAs(door, deviceId, { method: 'GET', path: inboxPath(deviceId) })),
    settle: async (etag, settlement) => void (await exchangeAs(door, deviceId, settlementRequest({ deviceId, etag, settlement }))),
  };
}

interface HubRequest extends Pick<HttpRequest, 'method' | 'path' | 'body'> {
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request of a device to its hub. Throws `Refusal`. */
async function exchangeAs(door: DeviceDoor, deviceId: string, { query, headers, path, ...request }: HubRequest): Promise<HttpAnswer> {
  const target = `${path}?api-version=${hubVersion}${query === undefined ? '' : `&${query}`}`;
  const answer = await exchange(door, { ...request, path: target }, { ...headers, ...authorization(deviceToken(door, deviceId)) });
  if (answer.status < 200 || answer.status > 299) throw new Refusal(describeRefusal(answer));
  return answer;
}

function exchange(
  door: DeviceDoor,
  request: Pick<HttpRequest, 'method' | 'path' | 'body'>,
  headers: Readonly<Record<string, string>> = {},
): Promise<HttpAnswer> {
  const target = { origin: `https://${addressOf(door)}`, authorities: door.authorities };
  return sendRequest(target, {
    ...request,
    headers: { accept: 'application/json', 'content-type': 'application/json; charset=utf-8', 'user-agent': 'muster', ...headers },
    ...(door.certificate === undefined || door.key === undefined
      ? {}
      : { clientCertificate: { certificate: door.certificate, key: door.key } }),
  });
}

const authorization = (token: string | undefined): Readonly<Record<string, string>> =>
  token === undefined ? {} : { authorization: token };

function toReply(answer: HttpAnswer): ProvisioningReply {
  const retryAfter = Number(answer.headers['retry-after']);
  return {
    status: answer.status,
    body: parseReply(answer.body),
    ...(Number.isFinite(retryAfter) && retryAfter > 0 ? { retryAfterSeconds: retryAfter } : {}),
  };
}

/** A body that is not JSON says nothing that the status does not say. */
export function parseReply(text: string): Json {
  try {
    return text.trim() === '' ? null : (JSON.parse(text) as Json);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
