import { createHmac } from 'node:crypto';

import type { ServiceConnectionString } from '../../contracts/connection-string.ts';

/** How long a token of one command is good for, as az has it. */
export const tokenSeconds = 600;

/** What a token is for, and who signs it. */
export interface TokenOrder {
  /** Host and path, not encoded. */
  readonly resource: string;
  /** Base64. */
  readonly key: string;
  /** Of a policy; absent for the key of a device. */
  readonly keyName?: string;
  readonly seconds: number;
}

/** A shared access signature, encoded the way az does; what is signed is the very text that is sent. */
export function signToken({ resource, key, keyName, seconds }: TokenOrder, nowMilliseconds: number): string {
  const encoded = encodeURIComponent(resource);
  const expiry = Math.floor(nowMilliseconds / 1000) + seconds;
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(`${encoded}\n${expiry}`).digest('base64');
  const policy = keyName === undefined ? '' : `&skn=${encodeURIComponent(keyName)}`;
  return `SharedAccessSignature sr=${encoded}&sig=${encodeURIComponent(signature)}&se=${expiry}${policy}`;
}

/** Signs for everything below the host of a connection string, which is written with its port if it has one. */
export function signConnectionString(connection: ServiceConnectionString, nowMilliseconds: number): string {
  const { hostName: resource, sharedAccessKey: key, sharedAccessKeyName: keyName } = connection;
  return signToken({ resource, key, keyName, seconds: tokenSeconds }, nowMilliseconds);
}
