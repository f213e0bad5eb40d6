import { notRunning, type RunningService } from '../../client/running-service.ts';
import type { CommandContext } from '../../context.ts';
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
