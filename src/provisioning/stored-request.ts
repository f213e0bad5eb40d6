import { transportNames } from '../contracts/transport.ts';
import { z } from 'zod';

import type { Json, JsonObject } from '../kernel/json.ts';
import type { Attempt } from './attempt.ts';
import type { DeviceRequest } from './service.ts';

/**
 * What a device asked, as it is kept while its registration waits for a webhook, so that a restart can go on with it. The
 * certificates are public, a token is a secret; both are dropped when the operation ends.
 */
export function storeRequest({ request, payload }: Pick<Attempt, 'request' | 'payload'>): JsonObject {
  const { credentials, peer } = request;
  return {
    idScope: request.idScope,
    registrationId: request.registrationId,
    credentials: { ...credentials, certificates: credentials.certificates.map((der) => Buffer.from(der).toString('base64')) },
    peer: { ...peer },
    ...(request.apiVersion === undefined ? {} : { apiVersion: request.apiVersion }),
    ...(payload === undefined ? {} : { payload }),
  };
}

const storedRequest = z.object({
  idScope: z.string(),
  registrationId: z.string(),
  credentials: z.object({ certificates: z.array(z.string()), sasToken: z.string().exactOptional() }),
  peer: z.object({ transport: z.enum(transportNames), remoteAddress: z.string(), serverName: z.string().exactOptional() }),
  apiVersion: z.string().exactOptional(),
  payload: z.custom<Json>().exactOptional(),
});

/** Reads it back. Throws when it is not what `storeRequest` wrote, which is a bug. */
export function restoreRequest(stored: JsonObject): { readonly request: DeviceRequest; readonly payload?: Json } {
  const { payload, credentials, ...request } = storedRequest.parse(stored);
  const certificates = credentials.certificates.map((text) => new Uint8Array(Buffer.from(text, 'base64')));
  return { request: { ...request, credentials: { ...credentials, certificates } }, ...(payload === undefined ? {} : { payload }) };
}
