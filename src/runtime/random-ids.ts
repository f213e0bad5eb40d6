import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import type { Ids } from '../kernel/ids.ts';

/** Identifiers from the cryptographic random source, in the shapes Azure uses. */
export const randomIds: Ids = {
  operationId: () => `${4 + randomInt(2)}.${randomBytes(8).toString('hex')}.${randomUUID()}`,
  trackingId: () => randomUUID(),
  etag: () => randomUUID(),
  guid: () => randomUUID(),
  bytes: (byteCount) => randomBytes(byteCount),
};
