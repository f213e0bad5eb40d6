import type { RunningService } from '../client/running-service.ts';

type Known = readonly { readonly name: string; readonly hostName: string }[];

/** The path of a provisioning service in Muster's API, by its name or any host name that begins with it. */
export function dpsPath(name: string, { endpoints }: RunningService): string {
  const known = endpoints.dps.map((dps) => ({ name: dps.name, hostName: dps.globalEndpoint }));
  return `/dps/${encodeURIComponent(properName(name, known))}`;
}

export function hubPath(name: string, { endpoints }: RunningService): string {
  return `/hubs/${encodeURIComponent(properName(name, endpoints.hubs))}`;
}

/** az takes `name.azure-devices.net` for `name`. */
function properName(given: string, known: Known): string {
  const text = given.toLowerCase();
  const exact = known.find((candidate) => candidate.name.toLowerCase() === text);
  const byHost = known.find((candidate) => candidate.hostName.toLowerCase().replace(/:\d+$/u, '') === text);
  return (exact ?? byHost)?.name ?? given.split('.')[0] ?? given;
}
