import type { JsonObject } from '../../../kernel/json.ts';
import type { MusterApi } from '../../client/muster-api.ts';
import { notFound } from '../../exit-code.ts';
import { required, text } from '../../grammar/option.ts';
import { jsonText } from '../../json-text.ts';
import { renderLinkedHubs } from '../arm-shapes.ts';
import { dpsPath } from '../resource-path.ts';

export const linkedHubOption = required(text(['--linked-hub'], 'Name or host name of the linked hub.'));

/** A linked hub by its name or host name. Throws the failure that the command ends with when it is not linked. */
export async function findLinkedHub(
  api: MusterApi,
  { dpsName, linkedHub }: { readonly dpsName: string; readonly linkedHub: string },
): Promise<{ readonly hub: JsonObject; readonly path: string }> {
  const path = dpsPath(dpsName, api.service);
  const linked = renderLinkedHubs(await api.send({ method: 'GET', path }));
  const wanted = linkedHub.toLowerCase();
  const hostNameOf = (hub: JsonObject): string => jsonText(hub['name']);
  const isWanted = (hub: JsonObject): boolean => {
    const hostName = hostNameOf(hub).toLowerCase();
    return hostName === wanted || hostName.split('.')[0] === wanted;
  };
  const known = api.service.endpoints.hubs.find((hub) => hub.name.toLowerCase() === wanted)?.hostName;
  const hub = linked.find(isWanted) ?? linked.find((candidate) => hostNameOf(candidate) === known);
  if (hub !== undefined) return { hub, path: `${path}/linked-hubs/${encodeURIComponent(hostNameOf(hub))}` };
  throw notFound(`The hub '${linkedHub}' is not linked. Linked are: ${linked.length === 0 ? 'none' : linked.map(hostNameOf).join(', ')}.`);
}
