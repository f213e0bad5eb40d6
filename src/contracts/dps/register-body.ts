import { z } from 'zod';

import { ServiceError } from '../../kernel/service-error.ts';
import type { Json } from '../../kernel/json.ts';
import { payloadFault } from './json-bounds.ts';
import { readBody } from './read-body.ts';

const registerBody = z.object({
  registrationId: z.string().nullish(),
  // Any JSON: it is for the allocation webhook, which says what it wants.
  payload: z.custom<Json>().optional(),
  tpm: z.object({ endorsementKey: z.string().nullish(), storageRootKey: z.string().nullish() }).nullish(),
});

/** What a device may send when it registers or looks itself up (chapter 1.2); unknown members are for other versions. */
export interface RegisterBody {
  readonly registrationId?: string;
  readonly payload?: Json;
  /** TPM2B_PUBLIC each; absent without an endorsement key. */
  readonly tpm?: { readonly endorsementKey: Uint8Array; readonly storageRootKey?: Uint8Array };
}

/** Reads the body of a device; none at all is fine, since C# sends none over MQTT. Throws `DpsBadRequest`. */
export function readRegisterBody(body: unknown): RegisterBody {
  if (body === undefined || body === null) return {};
  const { registrationId, payload, tpm } = readBody(registerBody, body);
  return {
    ...(registrationId === undefined || registrationId === null ? {} : { registrationId }),
    // Python sends null when it has none.
    ...(payload === undefined || payload === null ? {} : { payload: checkPayload(payload) }),
    ...(tpm?.endorsementKey ? { tpm: readTpm(tpm.endorsementKey, tpm.storageRootKey) } : {}),
  };
}

function checkPayload(payload: Json): Json {
  const fault = payloadFault(payload);
  if (fault !== undefined) throw new ServiceError('DpsBadRequest', `payload is not valid: ${fault}`);
  return payload;
}

function readTpm(endorsementKey: string, storageRootKey: string | null | undefined): NonNullable<RegisterBody['tpm']> {
  const root = storageRootKey ? { storageRootKey: fromBase64('tpm.storageRootKey', storageRootKey) } : {};
  return { endorsementKey: fromBase64('tpm.endorsementKey', endorsementKey), ...root };
}

function fromBase64(field: string, text: string): Uint8Array {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/u.test(text))
    throw new ServiceError('DpsBadRequest', `${field} is not valid: it must be base64.`);
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
