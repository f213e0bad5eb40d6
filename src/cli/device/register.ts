import { isJsonObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { failure } from '../exit-code.ts';
import { objectAt } from '../commands/enrollment-body.ts';
import type { DeviceIdentity, ProvisioningConversation, ProvisioningReply } from './door.ts';
import { inTime, pause } from './waiting.ts';
import { jsonText } from '../json-text.ts';

/** What every transport sends. */
export function registerBody({ registrationId, payload }: DeviceIdentity): JsonObject {
  return { registrationId, ...(payload === undefined ? {} : { payload }) };
}

/** How a registration ended. */
export type RegistrationOutcome =
  | {
      readonly kind: 'assigned';
      readonly hub: string;
      readonly deviceId: string;
      readonly substatus: string | undefined;
      /** The answer as it came. */
      readonly body: JsonObject;
    }
  | { readonly kind: 'refused'; readonly reason: string };

const deadlineMilliseconds = 120_000;
const usualPauseSeconds = 2;

/** Registers and polls until the service has decided. Repeats what was throttled or failed for a moment. */
export async function register(conversation: ProvisioningConversation): Promise<RegistrationOutcome> {
  const until = Date.now() + deadlineMilliseconds;
  let next = (): Promise<ProvisioningReply> => conversation.register();
  while (Date.now() < until) {
    const reply = await inTime(next(), 'The answer of the provisioning service');
    const mayPass = reply.status === 429 || reply.status >= 500;
    if (!mayPass) {
      const outcome = outcomeOf(reply);
      if (outcome !== undefined) return outcome;
      const operationId = operationOf(reply.body);
      next = () => conversation.poll(operationId);
    }
    await pause((reply.retryAfterSeconds ?? usualPauseSeconds) * 1000);
  }
  throw failure(`The provisioning service did not decide within ${deadlineMilliseconds / 1000} seconds.`);
}

/** `undefined` while the service is still at it. */
function outcomeOf({ status, body }: ProvisioningReply): RegistrationOutcome | undefined {
  const answer: JsonObject = isJsonObject(body) ? body : {};
  if (status >= 300) return { kind: 'refused', reason: errorWords(answer, status) };
  const state = objectAt(answer, 'registrationState');
  if (answer['status'] === 'assigned') {
    const substatus = typeof state['substatus'] === 'string' ? state['substatus'] : undefined;
    return { kind: 'assigned', hub: jsonText(state['assignedHub']), deviceId: jsonText(state['deviceId']), substatus, body: answer };
  }
  if (answer['status'] === 'assigning' || answer['status'] === 'unassigned') return undefined;
  const details = typeof state['errorMessage'] === 'string' && state['errorMessage'] !== '' ? ` (${state['errorMessage']})` : '';
  return { kind: 'refused', reason: `status ${jsonText(answer['status'])}${details}` };
}

function errorWords(answer: JsonObject, status: number): string {
  const code = answer['errorCode'] ?? status;
  const message = answer['message'];
  const trackingId = answer['trackingId'];
  const words = typeof message === 'string' && message !== '' ? ` ${message}` : '';
  return `${jsonText(code)}${words}${typeof trackingId === 'string' ? ` (tracking id ${trackingId})` : ''}`;
}

function operationOf(body: Json): string {
  const operationId = isJsonObject(body) ? body['operationId'] : undefined;
  if (typeof operationId === 'string' && operationId !== '') return operationId;
  throw failure('The provisioning service says that it is still assigning, but not under which operation.');
}
