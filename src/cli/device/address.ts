import type { RunningService } from '../client/running-service.ts';
import { failure } from '../exit-code.ts';
import type { DeviceTransport } from './door.ts';

/** The port that was written down, else that of the running service, else the one that every client has. */
export function addressIn(
  host: string,
  { name, door, defaultPort }: DeviceTransport,
  service: RunningService | undefined,
): { readonly hostName: string; readonly port: number } {
  const match = /^(.+?)(?::(\d{1,5}))?$/u.exec(host);
  const hostName = match?.[1] ?? host;
  const known = service?.endpoints.dps.some(
    ({ globalEndpoint }) => globalEndpoint === host || (match?.[2] === undefined && globalEndpoint.replace(/:\d+$/u, '') === hostName),
  );
  if (known !== true) return { hostName, port: match?.[2] === undefined ? defaultPort : Number(match[2]) };
  const port = service?.endpoints.ports[door];
  if (port === undefined)
    throw failure(`The running service has no door for ${name}. Choose another --transport, or start it with that door.`);
  return { hostName, port };
}
