import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { allocate, type AllocationInput } from '../../../../src/provisioning/allocation/allocations.ts';
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

function chosen(changes: Partial<AllocationInput> & { readonly entry?: AllocationInput['entry'] } = {}): string {
  const input = {
    entry: group('g', symmetricKey),
    registrationId: 'dev-1',
    linkedHubs: three,
    defaultPolicy: 'hashed',
    ...changes,
  } as const;
  const allocation = allocate(input);
  return allocation.ok ? allocation.hubHostName : String(allocation.errorCode);
}

const entry = (changes: Parameters<typeof group>[2]) => group('g', symmetricKey, changes);
const devices = Array.from({ length: 3000 }, (_, index) => `device-${index}`);
const counts = (linkedHubs: readonly LinkedHubRow[]): Map<string, number> => {
  const tally = new Map<string, number>();
  for (const registrationId of devices) {
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

  test('gives hubs devices in proportion to their weights', () => {
    const tally = counts([hub('a.example', { allocationWeight: 1 }), hub('b.example', { allocationWeight: 2 })]);
    const share = (tally.get('b.example') ?? 0) / devices.length;
    expect(share).toBeGreaterThan(0.63);
    expect(share).toBeLessThan(0.71);
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
    'custom fails, because it is not available yet': [entry({ allocationPolicy: 'custom' }), '400207'],
    'geoLatency is treated as hashed': [entry({ allocationPolicy: 'geoLatency' }), chosen()],
  } as const;
  for (const [name, [row, expected]] of Object.entries(cases)) test(name, () => expect(chosen({ entry: row })).toBe(expected));

  test('an enrollment without one takes that of the instance', () => {
    expect(chosen({ defaultPolicy: 'static' })).toBe('400208');
  });

  test('geoLatency says in its note that it hashed', () => {
    const input = {
      entry: entry({ allocationPolicy: 'geoLatency' }),
      registrationId: 'dev-1',
      linkedHubs: three,
      defaultPolicy: 'hashed',
    } as const;
    expect(allocate(input).note).toContain('treated as hashed');
  });
});
