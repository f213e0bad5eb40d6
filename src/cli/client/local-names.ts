import { lookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

/** Whether a name is of this machine by definition (RFC 6761 6.3); glibc and Node do not resolve `hub.localhost`. */
export function isLocalName(hostName: string): boolean {
  const name = hostName.toLowerCase().replace(/\.$/u, '');
  return name === 'localhost' || name.endsWith('.localhost');
}

/** Resolves names of this machine to the loopback address, and all others as usual. For `connect` and `request`. */
export const lookupName: LookupFunction = (hostName, options, callback) => {
  if (!isLocalName(hostName)) {
    lookup(hostName, options, callback);
    return;
  }
  const loopback: LookupAddress = { address: '127.0.0.1', family: 4 };
  if (options.all === true) callback(null, [loopback]);
  else callback(null, loopback.address, loopback.family);
};
