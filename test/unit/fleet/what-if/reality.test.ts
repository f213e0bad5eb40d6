import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { systemCause } from '../../../../src/audit/actor.ts';
import type { Forecast, Outlook } from '../../../../src/contracts/fleet/what-if.ts';
import type { Change } from '../../../../src/fleet/what-if/change.ts';
import { assertNever } from '../../../../src/kernel/assert-never.ts';
import type { JsonObject } from '../../../../src/kernel/json.ts';
import { type Attempted, type FleetDevice, hubs, makeFleet, type MixedFleet, settleFleet } from '../../../fixtures/mixed-fleet.ts';
import type { Made } from '../../../fixtures/pki/make-certificate.ts';
import { any, holding, hostOf, openProvisioningWorld, type ProvisioningWorld, signedBy } from '../../../fixtures/provisioning-world.ts';

/**
 * Two hundred changes of a thousand devices take long, so that every run of the suites has a smaller fleet and fewer changes,
 * other ones each time: `WHAT_IF_WHOLE=1` foretells the whole fleet for each of them, and registers everybody who is to flip
 * and a sample of those who are not.
 */
const isWhole = process.env['WHAT_IF_WHOLE'] !== undefined;
const [size, changes] = isWhole ? [1000, 200] : [300, 20];
const sampled = 60;
/** Every so many changes, everybody registers. */
const everybodyEach = isWhole ? 20 : 10;

let folder: string;
let fleet: MixedFleet;
let known: ReadonlySet<string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-whatif-'));
  fleet = makeFleet(size);
  const world = await openProvisioningWorld({ path: join(folder, 'settled.sqlite') });
  await settleFleet(world, fleet);
  const records = [];
  let after: string | undefined;
  do {
    const page = await world.store.read.registrations.list('dps', { limit: 500, ...(after === undefined ? {} : { after }) });
    records.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  known = new Set(records.map(({ registrationId }) => registrationId));
  await world.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The settled fleet again, for one change. */
async function withFleet<T>(work: (world: ProvisioningWorld) => Promise<T>): Promise<T> {
  const path = join(folder, 'copy.sqlite');
  copyFileSync(join(folder, 'settled.sqlite'), path);
  const world = await openProvisioningWorld({ path });
  try {
    return await work(world);
  } finally {
    await world.close();
    rmSync(path);
  }
}

async function predict(
  world: ProvisioningWorld,
  change: Change,
  devices: readonly string[] | undefined,
): Promise<ReadonlyMap<string, Forecast>> {
  const found = new Map<string, Forecast>();
  const follow = await world.fleet.whatIf.stream({ change, all: true, ...(devices === undefined ? {} : { devices }) });
  for await (const event of follow(new AbortController().signal)) {
    if (event.kind === 'device') found.set(event.device.device, event.device);
  }
  return found;
}

const sameId = { kind: 'any' } as const;

/** The change for real, as an operator makes it. */
async function make(world: ProvisioningWorld, change: Change): Promise<void> {
  const { provisioning } = world;
  switch (change.kind) {
    case 'enrollment':
    case 'group': {
      const entries = change.kind === 'group' ? provisioning.enrollmentGroups : provisioning.individualEnrollments;
      if (change.action === 'delete') return await entries.delete('dps', change.id, sameId);
      if (change.action === 'put') {
        const isThere = await entries.get('dps', change.id).then(
          () => true,
          () => false,
        );
        await entries.put('dps', change.id, { body: change.body, precondition: isThere ? any : { kind: 'absent' } });
        return;
      }
      const { registrationState: _state, ...entry } = (await entries.get('dps', change.id)) as unknown as JsonObject;
      const body = { ...entry, provisioningStatus: change.action === 'enable' ? 'enabled' : 'disabled' };
      await entries.put('dps', change.id, { body, precondition: any });
      return;
    }
    case 'certificate': {
      if (change.action === 'delete')
        return await provisioning.caCertificates.delete('dps', change.name, { precondition: sameId, force: true });
      const { certificate } = change.action === 'put' ? change : (await provisioning.caCertificates.get('dps', change.name)).properties;
      const isVerified = change.action !== 'put' || change.isVerified;
      const isThere = (await world.store.read.caCertificates.get('dps', change.name)) !== undefined;
      await provisioning.caCertificates.put('dps', change.name, {
        certificate,
        isVerified,
        precondition: isThere ? any : { kind: 'absent' },
        force: true,
      });
      return;
    }
    case 'hub':
      if (change.action === 'unlink') await provisioning.instances.unlinkHub('dps', change.hostName);
      else await provisioning.instances.linkHub('dps', change);
      return;
    case 'list': {
      const chosen = fleet.devices.filter(({ leaf }) => leaf !== undefined && isListed(leaf, change.text ?? ''));
      for (const { leaf } of chosen) {
        await world.fleet.blocks.create({ selectors: [], certificate: (leaf as Made).pem, by: ['serial'], reason: 'listed' }, systemCause);
      }
      return;
    }
    case 'block':
      await world.fleet.blocks.lift(change.id, systemCause);
  }
}

function isListed({ certificate }: Made, text: string): boolean {
  return text.includes(certificate.sha256) || text.includes(`${certificate.serialNumber} ${certificate.issuer}`);
}

function agrees(forecast: Outlook, reality: Attempted): boolean {
  switch (forecast.kind) {
    case 'assigned':
      return reality.kind === 'assigned' && reality.hub === forecast.hub && reality.deviceId === forecast.deviceId;
    case 'disabled':
      return reality.kind === 'disabled';
    case 'refused':
    case 'failed':
      return reality.kind === forecast.kind && reality.errorCode === forecast.errorCode;
    case 'webhook':
    case 'connects':
    case 'unknown':
      throw new Error(`this fleet has nobody whose registration is ${forecast.kind}`);
    default:
      return assertNever(forecast.kind);
  }
}

const withLeaves = (): readonly FleetDevice[] => fleet.devices.filter(({ leaf }) => leaf !== undefined);

/** Changes of every kind; what they name is chosen among what is there, and now and then what is not. */
function arbitraryChange(): fc.Arbitrary<Change> {
  const device = fc.constantFrom(...withLeaves());
  const status = fc.constantFrom('enabled', 'disabled');
  const individuals = fleet.devices.filter(({ id }) => /^(?:single|own|tpm)/u.test(id)).map(({ id }) => id);
  const denied = [...fleet.devices.entries()]
    .filter(([at, { id, leaf }]) => leaf !== undefined && at % 37 === 0 && !id.startsWith('single'))
    .map(([, { id }]) => `no-${id}`);
  const groups = ['first', 'root', 'second', 'other', 'stray', 'stray-line', 'meters', 'pumps'];
  const authority = fc.constantFrom(...Object.values(fleet.authorities));
  const policy = fc.oneof(
    fc.constant({}),
    fc.constantFrom(...hubs).map((hub) => ({ allocationPolicy: 'static', iotHubs: [hostOf(hub)] })),
    fc.constant({ allocationPolicy: 'hashed', iotHubs: [hostOf('west'), hostOf('north')] }),
    fc.constant({ reprovisionPolicy: { updateHubAssignment: false, migrateDeviceData: true } }),
  );
  const name = fc.constantFrom('root', 'second', 'other-first', 'stray');
  return fc.oneof(
    fc.record({ device, status, policy }).map(({ device: { id, leaf }, status: provisioningStatus, policy: rest }): Change => {
      return {
        kind: 'enrollment',
        action: 'put',
        id: `new-${id}`,
        body: { attestation: holding(leaf as Made), provisioningStatus, ...rest },
      };
    }),
    fc.record({ device: fc.constantFrom(...fleet.devices), status }).map(({ device: { id }, status: provisioningStatus }): Change => {
      return {
        kind: 'enrollment',
        action: 'put',
        id,
        body: { attestation: { type: 'symmetricKey', symmetricKey: {} }, provisioningStatus },
      };
    }),
    fc
      .record({ id: fc.constantFrom(...individuals, ...denied, 'held'), action: fc.constantFrom('enable', 'disable', 'delete') })
      .map(({ id, action }): Change => ({ kind: 'enrollment', action, id })),
    fc.record({ issuer: authority, status, policy }).map(({ issuer, status: provisioningStatus, policy: rest }): Change => {
      return { kind: 'group', action: 'put', id: 'another', body: { attestation: signedBy(issuer), provisioningStatus, ...rest } };
    }),
    fc
      .record({ id: fc.constantFrom(...groups), action: fc.constantFrom('enable', 'disable', 'delete') })
      .map(({ id, action }): Change => ({ kind: 'group', action, id })),
    fc
      .record({ name, action: fc.constantFrom('verify', 'delete') })
      .map(({ name: ca, action }): Change => ({ kind: 'certificate', action, name: ca })),
    fc
      .record({ name: fc.oneof(name, fc.constant('another')), issuer: authority, isVerified: fc.boolean() })
      .map(({ name: ca, issuer, isVerified }): Change => ({
        kind: 'certificate',
        action: 'put',
        name: ca,
        certificate: issuer.pem,
        isVerified,
      })),
    fc
      .record({ hub: fc.constantFrom(...hubs), apply: fc.boolean(), allocationWeight: fc.integer({ min: 1, max: 9 }) })
      .map(({ hub, apply, allocationWeight }): Change => {
        return { kind: 'hub', action: 'link', hostName: hostOf(hub), location: 'here', applyAllocationPolicy: apply, allocationWeight };
      }),
    fc.constantFrom(...hubs).map((hub): Change => ({ kind: 'hub', action: 'unlink', hostName: hostOf(hub) })),
    fc
      .uniqueArray(fc.record({ at: fc.integer({ min: 0, max: withLeaves().length - 1 }), whole: fc.boolean() }), {
        minLength: 1,
        maxLength: 20,
        selector: ({ at }) => at,
      })
      .map((chosen): Change => ({
        kind: 'list',
        text: chosen.map(({ at, whole }) => lineOf(withLeaves()[at] as FleetDevice, whole)).join('\n'),
      })),
  );
}

/** Self-signed ones have an issuer that nobody knows, so they are listed by their thumbprints. */
function lineOf({ leaf }: FleetDevice, whole: boolean): string {
  const { sha256, serialNumber, issuer, subject } = (leaf as Made).certificate;
  const isKnown =
    subject !== issuer &&
    Object.values(fleet.authorities).some(
      ({ certificate }) =>
        certificate.subject === issuer && ['CN=root', 'CN=first', 'CN=second', 'CN=stray', 'CN=other-first'].includes(issuer),
    );
  return whole || !isKnown ? sha256 : `${serialNumber} ${issuer}`;
}

/** Evenly over the fleet, and other ones for every change. */
function sampleOf(devices: readonly FleetDevice[], turn: number): readonly FleetDevice[] {
  const step = Math.floor(devices.length / sampled);
  return Array.from({ length: sampled }, (_, at) => devices[(at * step + turn * 7) % devices.length] as FleetDevice);
}

describe('what-if against reality', () => {
  test(`${changes} random changes over ${size} devices: what is foretold is what happens`, async () => {
    const devices = fleet.devices.filter(({ id }) => known.has(id));
    expect(devices.length).toBeGreaterThan(size * 0.9);
    const seen = { flips: 0, registered: 0, turn: 0, perFlip: new Map<string, number>() };
    const seed = Number(process.env['WHAT_IF_SEED'] ?? Date.now() % 2 ** 31);
    console.info(`what-if against reality: WHAT_IF_SEED=${seed}`);
    await fc.assert(
      fc.asyncProperty(arbitraryChange(), async (change) => {
        await withFleet(async (world) => {
          seen.turn += 1;
          const everybody = seen.turn % everybodyEach === 0;
          const sample = sampleOf(devices, seen.turn);
          const forecasts = await predict(world, change, everybody || isWhole ? undefined : sample.map(({ id }) => id));
          await make(world, change);
          const flipping = devices.filter(({ id }) => forecasts.has(id) && forecasts.get(id)?.flip !== 'stays');
          const asked = everybody ? devices : [...new Set([...flipping, ...sample])];
          const wrong: object[] = [];
          for (let at = 0; at < asked.length; at += 64) {
            await Promise.all(
              asked.slice(at, at + 64).map(async (device) => {
                const forecast = forecasts.get(device.id)?.registration?.after;
                const reality = await device.attempt(world);
                if (forecast === undefined || !agrees(forecast, reality)) wrong.push({ device: device.id, forecast, reality });
              }),
            );
          }
          for (const { flip } of forecasts.values()) seen.perFlip.set(flip, (seen.perFlip.get(flip) ?? 0) + 1);
          seen.flips += flipping.length;
          seen.registered += asked.length;
          expect(wrong).toEqual([]);
        });
      }),
      { numRuns: changes, seed, endOnFailure: true },
    );
    console.info(`foretold flips: ${seen.flips}, registered again: ${seen.registered}`, Object.fromEntries(seen.perFlip));
    // A test in which nothing flips would prove nothing.
    expect(seen.flips).toBeGreaterThan(0);
    if (isWhole)
      for (const flip of ['shut-out', 'let-in', 'moves', 'differs', 'stays']) expect(seen.perFlip.get(flip) ?? 0, flip).toBeGreaterThan(0);
    expect(seen.perFlip.get('unknown') ?? 0).toBe(0);
  }, 7_200_000);
});
