import { z } from 'zod';

import { ServiceError } from '../../kernel/service-error.ts';
import type { Json } from '../../kernel/json.ts';
import { payloadFault } from './json-bounds.ts';
import { readBody } from './read-body.ts';

const registerBody = z.object({
  registrationId: z.string().nullish(),
  // Any JSON: it is for the allocation webhook, which says what it wants.
  payload: z.custom<Json>().optional(),
});

/** What a device may send when it registers or looks itself up (chapter 1.2); unknown members are for other versions. */
export interface RegisterBody {
  readonly registrationId?: string;
  readonly payload?: Json;
}

/** Reads the body of a device; none at all is fine, since C# sends none over MQTT. Throws `DpsBadRequest`. */
export function readRegisterBody(body: unknown): RegisterBody {
  if (body === undefined || body === null) return {};
  const { registrationId, payload } = readBody(registerBody, body);
  return {
    ...(registrationId === undefined || registrationId === null ? {} : { registrationId }),
    // Python sends null when it has none.
    ...(payload === undefined || payload === null ? {} : { payload: checkPayload(payload) }),
  };
}

function checkPayload(payload: Json): Json {
  const fault = payloadFault(payload);
  if (fault !== undefined) throw new ServiceError('DpsBadRequest', `payload is not valid: ${fault}`);
  return payload;
}
