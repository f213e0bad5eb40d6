import { z } from 'zod';

import { readBody } from './read-body.ts';

const registerBody = z.object({
  registrationId: z.string().nullish(),
  // Any JSON: it is for the allocation webhook, which says what it wants.
  payload: z.unknown().optional(),
});

/** What a device may send when it registers or looks itself up (chapter 1.2); unknown members are for other versions. */
export interface RegisterBody {
  readonly registrationId?: string;
}

/** Reads the body of a device; none at all is fine, since C# sends none over MQTT. Throws `DpsBadRequest`. */
export function readRegisterBody(body: unknown): RegisterBody {
  if (body === undefined || body === null) return {};
  const { registrationId } = readBody(registerBody, body);
  return registrationId === undefined || registrationId === null ? {} : { registrationId };
}
