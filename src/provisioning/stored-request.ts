import { type PresentedCredentials, transportNames } from '../contracts/transport.ts';
import { z } from 'zod';

import type { Json, JsonObject } from '../kernel/json.ts';
import type { Attempt } from './attempt.ts';
import type { DeviceRequest } from './service.ts';

/**
 * What a device asked, as it is kept while its registration waits for a webhook, so that a restart can go on with it. The
 * certificates are public, a token is a secret; both are dropped when the operation ends.
 */
export function storeRequest({ request, payload }: Pick<Attempt, 'request' | 'payload'>): JsonObject {
  const { peer } = request;
  return {
    idScope: request.idScope,
    registrationId: request.registrationId,
    credentials: storeCredentials(request.credentials),
    peer: { ...peer },
    ...(request.apiVersion === undefined ? {} : { apiVersion: request.apiVersion }),
    ...(payload === undefined ? {} : { payload }),
  };
}

function storeCredentials({ certificates, sasToken, tpm }: PresentedCredentials): JsonObject {
  const root = tpm?.storageRootKey === undefined ? {} : { storageRootKey: base64(tpm.storageRootKey) };
  return {
    certificates: Array.from(certificates, base64),
    ...(sasToken === undefined ? {} : { sasToken }),
    ...(tpm === undefined ? {} : { tpm: { endorsementKey: base64(tpm.endorsementKey), ...root } }),
  };
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const bytes = z.string().transform((text): Uint8Array => new Uint8Array(Buffer.from(text, 'base64')));

const storedRequest = z.object({
  idScope: z.string(),
  registrationId: z.string(),
  credentials: z.object({
    certificates: z.array(bytes),
    sasToken: z.string().exactOptional(),
    tpm: z.object({ endorsementKey: bytes, storageRootKey: bytes.exactOptional() }).exactOptional(),
  }),
  peer: z.object({ transport: z.enum(transportNames), remoteAddress: z.string(), serverName: z.string().exactOptional() }),
  apiVersion: z.string().exactOptional(),
  payload: z.custom<Json>().exactOptional(),
});

/** Reads it back. Throws when it is not what `storeRequest` wrote, which is a bug. */
export function restoreRequest(stored: JsonObject): { readonly request: DeviceRequest; readonly payload?: Json } {
  const { payload, ...request } = storedRequest.parse(stored);
  return { request, ...(payload === undefined ? {} : { payload }) };
}
