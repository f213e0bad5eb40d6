import type { Config } from '../config/config.ts';
import type { Hub } from '../hub/service.ts';
import type { Provisioning } from '../provisioning/service.ts';

type Kind = 'dps' | 'hub';

/**
 * The host name of a resource that was given none. `localhost` resolves everywhere, so the only one of its kind gets it;
 * several must differ, and get names below `.localhost`, which some systems resolve by themselves.
 */
export function defaultHostName(kind: Kind, name: string, isOnlyOne: boolean): string {
  if (isOnlyOne) return 'localhost';
  return kind === 'dps' ? `${name}.azure-devices-provisioning.localhost` : `${name}.azure-devices.localhost`;
}

/**
 * Makes what the configuration names and an empty folder lacks. Hubs that are new are linked to every provisioning
 * service; links of existing ones are the operator's and stay as they are.
 */
export async function ensureResources(deps: {
  readonly config: Pick<Config, 'dps' | 'hubs'>;
  readonly provisioning: Provisioning;
  readonly hub: Hub;
}): Promise<void> {
  const { provisioning, hub } = deps;
  const knownDps = await provisioning.instances.list();
  const knownHubs = await hub.hubs.list();
  const dps = withDefault('dps', deps.config.dps, { isEmpty: knownDps.length === 0 });
  const hubs = withDefault('hub', deps.config.hubs, { isEmpty: knownHubs.length === 0 });
  const isKnown = (known: readonly { readonly name: string }[], name: string): boolean =>
    known.some((one) => one.name.toLowerCase() === name.toLowerCase());

  for (const wanted of dps) {
    const hostName = wanted.hostName ?? knownDps.find((one) => isKnown([one], wanted.name))?.hostName;
    await provisioning.instances.create({
      name: wanted.name,
      hostName: hostName ?? defaultHostName('dps', wanted.name, dps.length === 1 && knownDps.length === 0),
    });
  }
  for (const wanted of hubs) {
    const existing = knownHubs.find((one) => isKnown([one], wanted.name));
    const hostName =
      wanted.hostName ?? existing?.hostName ?? defaultHostName('hub', wanted.name, hubs.length === 1 && knownHubs.length === 0);
    await hub.hubs.create({ name: wanted.name, hostName });
  }
  await linkNewHubs(
    deps,
    knownHubs.map((one) => one.hostName.toLowerCase()),
    knownDps.map((one) => one.name.toLowerCase()),
  );
}

/** A crash between making and linking must not leave a hub without its link: whatever is new on either side is linked. */
async function linkNewHubs(
  deps: { readonly provisioning: Provisioning; readonly hub: Hub },
  hubsBefore: readonly string[],
  dpsBefore: readonly string[],
): Promise<void> {
  for (const instance of await deps.provisioning.instances.list()) {
    const linked = new Set(instance.iotHubs.map((link) => link.hostName.toLowerCase()));
    for (const one of await deps.hub.hubs.list()) {
      const hostName = one.hostName.toLowerCase();
      const isOld = hubsBefore.includes(hostName) && dpsBefore.includes(instance.name.toLowerCase());
      if (isOld || linked.has(hostName)) continue;
      await deps.provisioning.instances.linkHub(instance.name, {
        hostName: one.hostName,
        location: 'local',
        applyAllocationPolicy: true,
        allocationWeight: 1,
      });
    }
  }
}

function withDefault(kind: Kind, wanted: Config['dps'], folder: { readonly isEmpty: boolean }): Config['dps'] {
  return wanted.length === 0 && folder.isEmpty ? [{ name: `${kind}-local` }] : wanted;
}
