import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { allocate, type AllocationInput } from '../../../../src/provisioning/allocation/allocations.ts';
import { createRegions, noRegions } from '../../../../src/provisioning/allocation/regions.ts';
import type { LinkedHubRow } from '../../../../src/provisioning/ports.ts';
import { group, symmetricKey } from '../../../fixtures/enrollment-rows.ts';

const hub = (hostName: string, changes: Partial<LinkedHubRow> = {}): LinkedHubRow => ({
  instance: 'dps',
  hostName,
  location: '',
  applyAllocationPolicy: true,
  allocationWeight: 1,
  ...changes,
});

const three = [hub('a.example'), hub('b.example'), hub('c.example')];

function allocated(changes: Partial<AllocationInput> = {}) {
  const allocation = allocate({
    entry: group('g', symmetricKey),
    registrationId: 'dev-1',
    linkedHubs: three,
    defaultPolicy: 'hashed',
    remoteAddress: '192.0.2.1',
    regions: noRegions,
    ...changes,
  });
  if ('ask' in allocation) throw new Error('a webhook is to be asked');
  return allocation;
}

function chosen(changes: Partial<AllocationInput> = {}): string {
  const allocation = allocated(changes);
  return allocation.ok ? allocation.hubHostName : String(allocation.errorCode);
}

const entry = (changes: Parameters<typeof group>[2]) => group('g', symmetricKey, changes);
const devices = Array.from({ length: 3000 }, (_, index) => `device-${index}`);
const many = Array.from({ length: 100_000 }, (_, index) => `sensor-${index.toString(36)}`);
const counts = (linkedHubs: readonly LinkedHubRow[], ids: readonly string[] = devices): Map<string, number> => {
  const tally = new Map<string, number>();
  for (const registrationId of ids) {
    const host = chosen({ registrationId, linkedHubs });
    tally.set(host, (tally.get(host) ?? 0) + 1);
  }
  return tally;
};

describe('hashed', () => {
  test('says the same every time, whatever the order of the hubs and the case of the names', () => {
    const registrations = fc.string({ minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(registrations, fc.shuffledSubarray(three, { minLength: 3 }), (registrationId, linkedHubs) => {
        const here = chosen({ registrationId });
        expect(chosen({ registrationId: registrationId.toUpperCase().toLowerCase(), linkedHubs })).toBe(
          chosen({ registrationId: registrationId.toLowerCase() }),
        );
        expect(chosen({ registrationId, linkedHubs })).toBe(here);
      }),
    );
  });

  test('gives 100,000 devices to hubs within one percent of their weights', () => {
    const weights = { 'a.example': 1, 'b.example': 2, 'c.example': 3, 'd.example': 10 };
    const linkedHubs = Object.entries(weights).map(([hostName, allocationWeight]) => hub(hostName, { allocationWeight }));
    const tally = counts(linkedHubs, many);
    const total = 16;
    for (const [hostName, weight] of Object.entries(weights)) {
      const share = (tally.get(hostName) ?? 0) / many.length;
      expect(Math.abs(share - weight / total), hostName).toBeLessThan(0.01);
    }
  });

  test('moves at most 1.2/(n+1) of 100,000 devices when a hub joins n, and all of them to it', () => {
    const joined = [...three, hub('d.example')];
    let moved = 0;
    for (const registrationId of many) {
      const [before, after] = [chosen({ registrationId }), chosen({ registrationId, linkedHubs: joined })];
      if (before === after) continue;
      expect(after).toBe('d.example');
      moved += 1;
    }
    expect(moved / many.length).toBeLessThan(1.2 / joined.length);
  });

  test('moves only the devices of a hub that goes', () => {
    const rest = three.slice(0, 2);
    for (const registrationId of devices.slice(0, 500)) {
      const before = chosen({ registrationId });
      if (before !== 'c.example') expect(chosen({ registrationId, linkedHubs: rest })).toBe(before);
    }
  });

  test('leaves out hubs that take no part, and fails without any', () => {
    expect(counts([hub('a.example', { applyAllocationPolicy: false }), hub('b.example')])).toEqual(
      new Map([['b.example', devices.length]]),
    );
    expect(chosen({ linkedHubs: [hub('a.example', { applyAllocationPolicy: false })] })).toBe('400208');
    expect(chosen({ linkedHubs: [] })).toBe('400208');
  });

  test('keeps to the hubs of the enrollment, also to those that take no part otherwise', () => {
    const linkedHubs = [...three, hub('d.example', { applyAllocationPolicy: false })];
    expect(chosen({ linkedHubs, entry: entry({ iotHubs: ['D.example'] }) })).toBe('d.example');
    expect(chosen({ linkedHubs, entry: entry({ iotHubs: ['gone.example'] }) })).toBe('400208');
  });
});

describe('the other policies', () => {
  const cases = {
    'static takes the hub of the enrollment': [entry({ allocationPolicy: 'static', iotHubs: ['b.example'] }), 'b.example'],
    'static without a hub fails': [entry({ allocationPolicy: 'static' }), '400208'],
    'static with two hubs fails': [entry({ allocationPolicy: 'static', iotHubs: ['a.example', 'b.example'] }), '400208'],
    'the legacy host name is static whatever the policy': [entry({ allocationPolicy: 'hashed', iotHubHostName: 'c.example' }), 'c.example'],
    'custom without a webhook fails': [entry({ allocationPolicy: 'custom' }), '400207'],
  } as const;
  for (const [name, [row, expected]] of Object.entries(cases)) test(name, () => expect(chosen({ entry: row })).toBe(expected));

  test('an enrollment without one takes that of the instance', () => {
    expect(chosen({ defaultPolicy: 'static' })).toBe('400208');
  });

  test('a device that stays where it is needs no policy', () => {
    const stay = hub('c.example');
    for (const allocationPolicy of ['hashed', 'geoLatency', 'static'] as const) {
      expect(chosen({ entry: entry({ allocationPolicy, iotHubs: ['a.example'] }), stay })).toBe('c.example');
    }
  });
});

describe('geoLatency', () => {
  const linkedHubs = [
    hub('west.example', { location: 'westeurope' }),
    hub('north.example', { location: 'northeurope' }),
    hub('east.example', { location: 'EastUS' }),
  ];
  const regions = createRegions({
    networks: { '10.0.0.0/8': 'plant', '10.1.0.0/16': 'dublin', '10.2.0.0/16': 'middle', '10.3.0.0/16': 'moon', '2001:db8::/32': 'eastus' },
    latencies: {
      Plant: { westeurope: 8, northeurope: 21, eastus: 90 },
      dublin: { northeurope: 2 },
      middle: { westeurope: 11, northeurope: 11, eastus: 80 },
    },
  });
  const from = (remoteAddress: string) =>
    allocated({ entry: entry({ allocationPolicy: 'geoLatency' }), linkedHubs, regions, remoteAddress });

  test.each([
    ['by the table', '10.9.0.1', 'west.example'],
    ['by the longest network', '10.1.2.3', 'north.example'],
    ['within one place without a table', '2001:db8::7', 'east.example'],
    ['from an address that IPv6 carries', '::ffff:10.1.2.3', 'north.example'],
  ])('chooses the nearest hub %s', (_, address, expected) => {
    const allocation = from(address);
    expect(allocation).toMatchObject({ ok: true, hubHostName: expected });
    expect(allocation.note).toContain('nearest');
  });

  test.each(['unknown', '', '10.1.2.3.4', 'fe80::zz'])('knows no region of %j, which is no address', (address) => {
    const everywhere = createRegions({ networks: { '0.0.0.0/0': 'plant', '::/0': 'plant' }, latencies: {} });
    expect(everywhere.regionOf(address)).toBeUndefined();
    expect(everywhere.regionOf('fe80::1%eth0')).toBe('plant');
  });

  test('hashes a tie among those that are equally near', () => {
    const hosts = new Set(
      devices
        .slice(0, 200)
        .map((registrationId) =>
          chosen({ registrationId, entry: entry({ allocationPolicy: 'geoLatency' }), linkedHubs, regions, remoteAddress: '10.2.0.1' }),
        ),
    );
    expect(hosts).toEqual(new Set(['west.example', 'north.example']));
    expect(from('10.2.0.1').note).toContain('equally near');
  });

  test.each([
    ['an address that no network holds', '198.51.100.1', 'region of the device is not known'],
    ['a region without latencies', '10.3.0.1', 'no latency from moon'],
    ['what is no address', '', 'region of the device is not known'],
  ])('hashes for %s, and says so', (_, address, why) => {
    const hashed = chosen({ linkedHubs });
    expect(from(address)).toMatchObject({ ok: true, hubHostName: hashed });
    expect(from(address).note).toContain(why);
  });

  test('fails without any hub', () => {
    expect(chosen({ entry: entry({ allocationPolicy: 'geoLatency' }), linkedHubs: [], regions, remoteAddress: '10.1.0.1' })).toBe('400208');
  });

  test('a network that is none is refused', () => {
    expect(() => createRegions({ networks: { '10.0.0.0/33': 'x' }, latencies: {} })).toThrow();
    expect(() => createRegions({ networks: { plant: 'x' }, latencies: {} })).toThrow();
  });
});
