import { createHmac } from 'node:crypto';

import type { ServiceConnectionString } from '../../contracts/connection-string.ts';

/** How long a token of one command is good for, as az has it. */
export const tokenSeconds = 600;

/**
 * Signs for everything below the host of a connection string. The host is written with its port, if it has one, and
 * encoded the way az does; what is signed is the very text that is sent.
 */
export function signConnectionString(connection: ServiceConnectionString, nowMilliseconds: number): string {
  const resource = encodeURIComponent(connection.hostName);
  const expiry = Math.floor(nowMilliseconds / 1000) + tokenSeconds;
  const key = Buffer.from(connection.sharedAccessKey, 'base64');
  const signature = createHmac('sha256', key).update(`${resource}\n${expiry}`).digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=${encodeURIComponent(connection.sharedAccessKeyName)}`;
}
