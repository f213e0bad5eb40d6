import { isApiVersion } from '../../../contracts/api-version.ts';
import { limits } from '../../../contracts/limits.ts';
import { assertNever } from '../../../kernel/assert-never.ts';
import { type Clock, minutes } from '../../../kernel/clock.ts';
import type { Json } from '../../../kernel/json.ts';
import { createPatience, type Patience } from '../../../kernel/patience.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { DeviceRegistrations, DeviceRequest, RegistrationAnswer } from '../../../provisioning/service.ts';
import type { AmqpBinding, AmqpConnection, AmqpDelivery, AmqpLink } from '../engine/binding.ts';
import { parseJsonBody } from '../engine/json-body.ts';
import type { AmqpMessage } from '../engine/message.ts';
import { amqpInt } from '../engine/values.ts';
import type { TpmSasl } from './tpm-sasl.ts';
import { parseRegistrationAddress, type RegistrationAddress } from './address.ts';

export interface DpsBinding extends Required<Pick<AmqpBinding, 'attach' | 'closed'>> {
  /** Somebody is authenticated for something else on this connection, so that it is theirs to keep. */
  share(): void;
}

const nothingRegistered = { condition: 'amqp:connection:forced', description: 'Nothing was registered on this connection for too long.' };

/**
 * The device API of the provisioning service over AMQP (DPS chapter 1.6): a device attaches a receiver and a sender
 * with one address, sends requests and reads answers. Who it is, is judged with each request.
 */
export function createDpsBinding(
  deps: { readonly registrations: DeviceRegistrations; readonly tpm: Pick<TpmSasl, 'credentials'>; readonly clock: Clock },
  connection: AmqpConnection,
): DpsBinding {
  let patience: Patience | undefined;
  let isShared = false;
  const receivers = new Map<string, AmqpLink>();
  return {
    async attach(link) {
      const address = parseRegistrationAddress(link.address);
      if (address === undefined) throw new ServiceError('RouteNotFound', 'There is nothing at this address.');
      const version = readApiVersion(link);
      if (!isShared)
        patience ??= createPatience({
          clock: deps.clock,
          span: minutes(limits.registrationIdleMinutes),
          onOver: () => void connection.cut(nothingRegistered),
        });
      const key = JSON.stringify([address.idScope, address.registrationId]);
      if (link.peerIs === 'receiver') {
        receivers.set(key, link);
        // Addresses are the peer's, and without end: none stays in the books after its link.
        const closed = (): void => void (receivers.get(key) === link && receivers.delete(key));
        return { maxMessageBytes: limits.dpsMessageBytes, closed };
      }
      return {
        maxMessageBytes: limits.dpsMessageBytes,
        async message(delivery) {
          const receiver = receivers.get(key);
          // Asked first: a registration whose answer cannot be sent would happen unseen.
          if (receiver === undefined || receiver.isClosed) {
            throw new ServiceError('DpsBadRequest', 'Attach a receiver with the same address before sending requests.');
          }
          await answer(deps.registrations, {
            receiver,
            delivery,
            request: { ...deviceRequest(connection, deps.tpm, address), ...version },
          });
          patience?.renew();
        },
      };
    },
    share() {
      isShared = true;
      patience?.stop();
    },
    closed: () => patience?.stop(),
  };
}

/** All SDKs send it with the ATTACH; a generic client that does not gets the newest behaviour (DPS chapter 1.1). */
function readApiVersion(link: AmqpLink): Pick<DeviceRequest, 'apiVersion'> {
  const apiVersion = link.properties.get('com.microsoft:api-version');
  if (apiVersion === undefined) return {};
  if (typeof apiVersion === 'string' && isApiVersion(apiVersion)) return { apiVersion };
  throw new ServiceError('DpsBadRequest', 'This api-version is not known.');
}

/** A token from SASL is carried along, not judged: who it is good for shows at the request (DPS chapter 1.6.5). */
function deviceRequest(
  { peer, certificates, plain }: AmqpConnection,
  tpm: Pick<TpmSasl, 'credentials'>,
  address: RegistrationAddress,
): DeviceRequest {
  return {
    ...address,
    credentials: { certificates: [...certificates], ...(plain === undefined ? {} : { sasToken: plain.password }), ...tpm.credentials() },
    peer,
  };
}

async function answer(
  registrations: DeviceRegistrations,
  { receiver, delivery, request }: { readonly receiver: AmqpLink; readonly delivery: AmqpDelivery; readonly request: DeviceRequest },
): Promise<void> {
  const { message } = delivery;
  const { body, retryAfterSeconds } = await ask(registrations, request, message);
  const delay = retryAfterSeconds === undefined ? undefined : amqpInt(retryAfterSeconds);
  receiver.send({
    ...(message.properties.correlationId === undefined ? {} : { correlationId: message.properties.correlationId }),
    // Node, C and Java read the first spelling, C# the second, and C wants exactly an int (clients chapter 5).
    ...(delay === undefined ? {} : { applicationProperties: { 'retry-after': delay, 'Retry-After': delay } }),
    body: Buffer.from(JSON.stringify(body)),
  });
}

type Answer = Pick<RegistrationAnswer, 'retryAfterSeconds'> & { readonly body: unknown };

async function ask(registrations: DeviceRegistrations, request: DeviceRequest, message: AmqpMessage): Promise<Answer> {
  const operation = parseOperation(message);
  switch (operation.kind) {
    case 'register':
      return await registrations.register({ ...request, ...parseBody(message) });
    case 'operation-status':
      return await registrations.operationStatus({ ...request, operationId: operation.operationId });
    case 'lookup':
      return { body: await registrations.lookup({ ...request, ...parseBody(message) }) };
    default:
      return assertNever(operation);
  }
}

type Operation =
  | { readonly kind: 'register' }
  | { readonly kind: 'lookup' }
  | { readonly kind: 'operation-status'; readonly operationId: string };

function parseOperation({ applicationProperties }: AmqpMessage): Operation {
  const operationId = applicationProperties.get('iotdps-operation-id');
  switch (applicationProperties.get('iotdps-operation-type')) {
    case 'iotdps-register':
      return { kind: 'register' };
    case 'iotdps-get-registration':
      return { kind: 'lookup' };
    case 'iotdps-get-operationstatus':
      if (typeof operationId === 'string' && operationId !== '') return { kind: 'operation-status', operationId };
      throw new ServiceError('DpsBadRequest', 'The application property iotdps-operation-id is missing.');
    default:
      throw new ServiceError('DpsBadRequest', 'The application property iotdps-operation-type names no operation.');
  }
}

/** C# sends no body unless it has a payload. */
function parseBody({ body }: AmqpMessage): { readonly body?: Json } {
  const parsed = parseJsonBody(body, 'DpsBadRequest');
  return parsed === undefined ? {} : { body: parsed };
}
