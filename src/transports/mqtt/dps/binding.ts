import { limits } from '../../../contracts/limits.ts';
import type { PresentedCredentials } from '../../../contracts/transport.ts';
import { minutes } from '../../../kernel/clock.ts';
import { parseJson } from '../../../kernel/parse-json.ts';
import { createPatience, type Patience } from '../../../kernel/patience.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { DeviceRegistrations, DeviceRequest, RegistrationAnswer } from '../../../provisioning/service.ts';
import type { ConnectRequest, InboundMessage, MqttBinding, MqttLink, MqttSession, OutboundMessage } from '../engine/binding.ts';
import { renderError, type ErrorDeps } from '../errors.ts';
import { parseDpsTopic, renderDpsTopic, responseFilter, type DpsRequest } from './topics.ts';
import { looksLikeDpsUserName, parseDpsUserName } from './user-name.ts';

export interface DpsBindingDeps extends ErrorDeps {
  readonly registrations: DeviceRegistrations;
}

/**
 * The provisioning service over MQTT (reference 1.5). A CONNECT is accepted without judging credentials: SDKs expect
 * the verdict as the answer to a registration (1.5.4). For the same reason a second connection with the same
 * client id does not end the first one, as [MQTT-3.1.4-2] has it: anybody could then disconnect any device.
 */
export function createDpsBinding(deps: DpsBindingDeps): MqttBinding {
  return {
    name: 'dps',
    claims: looksLikeDpsUserName,
    connect: async (request, link) => openDpsSession(deps, request, link),
  };
}

function openDpsSession(deps: DpsBindingDeps, request: ConnectRequest, link: Pick<MqttLink, 'cut'>): MqttSession {
  const { idScope, registrationId, apiVersion } = parseDpsUserName(request.userName);
  if (request.clientId.toLowerCase() !== registrationId.toLowerCase()) {
    throw new ServiceError('DpsBadRequest', 'The client id is not the registration id of the user name.');
  }
  if (request.will !== undefined) throw new ServiceError('DpsBadRequest', 'The provisioning service takes no will.');
  const device = { idScope, registrationId, apiVersion, credentials: credentialsOf(request), peer: request.peer };
  // Nobody is authenticated here, so being alive is no reason to keep a connection.
  const patience = createPatience({
    clock: deps.clock,
    span: minutes(limits.registrationIdleMinutes),
    onOver: () => void link.cut('nothing was registered'),
  });
  return {
    // The message itself, and room for its topic.
    maxPacketBytes: limits.dpsMessageBytes + 1024,
    logFields: { idScope, registrationId },
    grants(filter) {
      if (filter === responseFilter) return true;
      throw new ServiceError('DpsBadRequest', 'Devices subscribe to $dps/registrations/res/# only.');
    },
    async take(messages) {
      const [message] = messages;
      if (message === undefined) return { taken: 0, replies: [] };
      return { taken: 1, replies: [await answer({ ...deps, patience }, device, message)] };
    },
    end: async () => patience.stop(),
  };
}

/** The password, if there is one, is a token. */
const credentialsOf = ({ certificates, password }: ConnectRequest): PresentedCredentials => ({
  certificates: [...certificates],
  ...(password !== undefined && { sasToken: password }),
});

/** Errors are answers, too, and always JSON: Node parses the body before it looks at the status. */
async function answer(
  deps: DpsBindingDeps & { readonly patience: Patience },
  device: DeviceRequest,
  message: InboundMessage,
): Promise<OutboundMessage> {
  const request = parseDpsTopic(message.topic);
  if (request === undefined) throw new ServiceError('DpsBadRequest', 'Devices publish to the two request topics only.');
  try {
    const answered = await ask(deps.registrations, device, { request, payload: message.payload });
    deps.patience.renew();
    return renderAnswer(request.rid, answered);
  } catch (thrown) {
    const { payload, ...error } = renderError(thrown, deps);
    return { topic: renderDpsTopic({ ...error, rid: request.rid }), payload };
  }
}

async function ask(
  registrations: DeviceRegistrations,
  device: DeviceRequest,
  { request, payload }: { readonly request: DpsRequest; readonly payload: Buffer },
): Promise<RegistrationAnswer> {
  if (request.kind === 'status') {
    if (request.operationId === '') throw new ServiceError('DpsBadRequest', 'The topic names no operationId.');
    return registrations.operationStatus({ ...device, operationId: request.operationId });
  }
  const body = parseJson(payload, 'DpsBadRequest');
  return registrations.register({ ...device, ...(body !== undefined && { body }) });
}

function renderAnswer(rid: string, { pending, retryAfterSeconds, body }: RegistrationAnswer): OutboundMessage {
  const topic = renderDpsTopic({ status: pending ? 202 : 200, rid, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) });
  return { topic, payload: Buffer.from(JSON.stringify(body)) };
}
