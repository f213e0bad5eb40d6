import { notRunning, type RunningService } from '../../client/running-service.ts';
import type { CommandContext } from '../../context.ts';
import type { DeviceTransport } from '../../device/door.ts';
import { failure, notFound, usageError } from '../../exit-code.ts';

/** How a command for a device names the service that the device goes to. */
interface ServiceChoice {
  readonly idScope: string | undefined;
  readonly host: string | undefined;
  readonly dpsName: string | undefined;
}

/** The id scope and `HOST[:PORT]` that were named, else those of the running service. */
export function serviceOf(
  { idScope, host, dpsName }: ServiceChoice,
  service: RunningService | undefined,
  { dataFolder }: CommandContext,
): { readonly idScope: string; readonly host: string } {
  if (idScope !== undefined && host !== undefined) return { idScope, host };
  if (service === undefined) throw failure(`${notRunning(dataFolder)} Or give --id-scope and --host.`);
  const candidates = service.endpoints.dps.filter(({ name }) => dpsName === undefined || name.toLowerCase() === dpsName.toLowerCase());
  const names = service.endpoints.dps.map(({ name }) => name).join(', ');
  const [chosen, ...others] = candidates;
  if (chosen === undefined) throw notFound(`There is no provisioning service '${dpsName ?? ''}' in ${dataFolder}. There is: ${names}.`);
  if (others.length > 0) throw usageError(`There are several provisioning services: ${names}. Choose one with --dps-name.`);
  return { idScope: idScope ?? chosen.idScope, host: host ?? chosen.globalEndpoint };
}

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
