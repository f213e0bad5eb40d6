import { BlockList, isIP, isIPv6 } from 'node:net';

/** What is known of where devices and hubs stand. */
export interface Regions {
  /** Nothing was written down: every address is as good as another. */
  readonly isEmpty: boolean;
  /** The region that an address belongs to, by the longest network that holds it; `undefined` when none does, or when it is none. */
  regionOf(address: string): string | undefined;
  /** Milliseconds from a region to a hub's location; 0 within one place, `undefined` when nobody said. */
  latency(region: string, location: string): number | undefined;
}

export interface RegionTable {
  /** Region by network, such as `10.1.0.0/16` or `2001:db8::/32`. */
  readonly networks: Readonly<Record<string, string>>;
  /** Milliseconds by region and then by location of a hub. */
  readonly latencies: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Regions as an operator wrote them down. Names compare without case. Throws `TypeError` or `RangeError` for a network that is none. */
export function createRegions({ networks, latencies }: RegionTable): Regions {
  const known = Object.entries(networks)
    .map(([network, region]) => ({ region, ...parseNetwork(network) }))
    .toSorted((a, b) => b.bits - a.bits);
  const table = new Map(Object.entries(latencies).map(([region, row]) => [fold(region), foldKeys(row)]));
  return {
    isEmpty: known.length === 0,
    regionOf(address) {
      const plain = address.replace(/%.*$/u, '');
      const family = isIP(plain);
      // A socket that was closed meanwhile has no address any more.
      if (family === 0) return undefined;
      return known.find(({ list }) => list.check(plain, family === 6 ? 'ipv6' : 'ipv4'))?.region;
    },
    latency(region, location) {
      return table.get(fold(region))?.get(fold(location)) ?? (fold(region) === fold(location) ? 0 : undefined);
    },
  };
}

export const noRegions: Regions = createRegions({ networks: {}, latencies: {} });

/** `bits` counts as in IPv6, so that networks of both families can be ordered by how much they say. */
function parseNetwork(network: string): { readonly list: BlockList; readonly bits: number } {
  const [address = '', prefix = ''] = network.split('/');
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  list.addSubnet(address, Number(prefix), family);
  return { list, bits: Number(prefix) + (family === 'ipv4' ? 96 : 0) };
}

function foldKeys(row: Readonly<Record<string, number>>): ReadonlyMap<string, number> {
  return new Map(Object.entries(row).map(([location, latency]) => [fold(location), latency]));
}

function fold(name: string): string {
  return name.toLowerCase();
}
