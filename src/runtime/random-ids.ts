import { randomFillSync, randomInt, randomUUID } from 'node:crypto';
import type { Ids } from '../kernel/ids.ts';

/** A call of the random source costs as much for one byte as for thousands. */
const pool = Buffer.alloc(4096);
let drawn = pool.length;

/** Bytes that nobody else gets: what is handed out is no longer in the pool. */
function randomBytes(byteCount: number): Buffer {
  if (byteCount > pool.length / 8) return randomFillSync(Buffer.alloc(byteCount));
  if (drawn + byteCount > pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  const bytes = Buffer.from(pool.subarray(drawn, drawn + byteCount));
  pool.fill(0, drawn, (drawn += byteCount));
  return bytes;
}

/** Identifiers from the cryptographic random source, in the shapes Azure uses. */
export const randomIds: Ids = {
  operationId: () => `${4 + randomInt(2)}.${randomBytes(8).toString('hex')}.${randomUUID()}`,
  trackingId: () => randomUUID(),
  etag: () => randomUUID(),
  guid: () => randomUUID(),
  bytes: (byteCount) => randomBytes(byteCount),
};
