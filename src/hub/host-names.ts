import { isIP } from 'node:net';
import { bareHost } from '../contracts/host-name.ts';
import type { HubInstance } from './ports.ts';

/**
 * Which of the hubs a host stands for: that with this host name, or the only hub when the host is this machine.
 * Several hubs on one loopback address cannot be told apart, so then only names count.
 */
export function hubOfHost(hubs: readonly HubInstance[], host: string): HubInstance | undefined {
  const wanted = bareHost(host);
  const named = hubs.find((hub) => bareHost(hub.hostName) === wanted);
  if (named !== undefined) return named;
  return hubs.length === 1 && isLoopback(wanted) ? hubs[0] : undefined;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
