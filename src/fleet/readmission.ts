import type { Block } from '../blocks/block.ts';
import type { BlockLookup } from '../blocks/ports.ts';
import type { Readmission } from '../contracts/fleet/readmission.ts';
import type { Hub } from '../hub/service.ts';
import type { Shown } from '../hub/shown.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Provisioning } from '../provisioning/service.ts';
import { findDevice, type FoundDevice } from './found-device.ts';
import { registrationToken } from '../provisioning/rehearsal/own-token.ts';
import { hubToken } from './own-token.ts';
import type { FleetStorage } from './ports.ts';

export interface ForetellDeps {
  readonly storage: FleetStorage;
  readonly provisioning: Pick<Provisioning, 'inquire'>;
  readonly hub: Pick<Hub, 'judge'>;
  readonly clock: Clock;
}

/** Devices of one block that are asked about; a key that more than these have is nobody's. */
const devicesOfBlock = 20;

type Read = FleetStorage['read'];

/**
 * The devices that come back when a block is lifted, as far as they are known: the decision shuts them out with it, and lets
 * them in without it, by an enrollment, or by the identity that they still have. By what is committed.
 */
export async function foretellReadmissions(deps: ForetellDeps, block: Block): Promise<readonly Readmission[]> {
  const { read } = deps.storage;
  const lifted = { ...read, blocks: without(read.blocks, block) };
  const readmissions: Readmission[] = [];
  for (const device of await devicesNamedBy(read, block)) {
    const both = { device, block, lifted };
    readmissions.push(...(await byEnrollment(deps, both)), ...(await byIdentity(deps, both)));
  }
  return readmissions;
}

/** Those whom a selector names, and the one that it was written for. */
async function devicesNamedBy(read: Read, { selectors, receiptId }: Block): Promise<readonly FoundDevice[]> {
  const asked = new Set<string>();
  const receipt = receiptId === undefined ? undefined : await read.receipts.get(receiptId);
  if (receipt !== undefined) asked.add(receipt.device);
  for (const { kind, value } of selectors) {
    if (kind === 'publicKey') for (const id of await read.presented.withKey(value)) asked.add(id);
    // The others are properties of a certificate that only its receipt leads to.
    if (kind === 'registrationId' || kind === 'deviceId' || kind === 'leaf') asked.add(value);
  }
  const found = new Map<string, FoundDevice>();
  for (const name of [...asked].slice(0, devicesOfBlock)) {
    const device = await findDevice(read, name);
    found.set(device.name.toLowerCase(), device);
  }
  return [...found.values()];
}

interface Asked {
  readonly device: FoundDevice;
  readonly block: Block;
  /** The stores as if the block were gone. */
  readonly lifted: Read;
}

async function byEnrollment(
  { provisioning, storage, clock }: ForetellDeps,
  { device: { chain, registrationIds }, block, lifted }: Asked,
): Promise<readonly Readmission[]> {
  const readmissions: Readmission[] = [];
  for (const instance of await storage.read.instances.list()) {
    for (const registrationId of registrationIds) {
      const { token } = await registrationToken(storage.read, { instance, registrationId, at: clock.now() });
      const presented =
        chain === undefined ? ({ kind: 'sas', token } as const) : ({ kind: 'x509', leaf: chain.leaf, sent: chain.others } as const);
      const inquiry = { instance, registrationId, presented, purpose: 'register' } as const;
      const { verdict } = await provisioning.inquire(inquiry);
      if (verdict.kind !== 'disabled' || verdict.block?.id !== block.id) continue;
      const { verdict: then } = await provisioning.inquire(inquiry, lifted);
      if (then.kind !== 'admit') continue;
      const { kind, id } = then.entry;
      readmissions.push({ device: registrationId, by: { kind, id, place: instance.name } });
    }
  }
  return readmissions;
}

async function byIdentity({ hub: judge, clock }: ForetellDeps, { device, block, lifted }: Asked): Promise<readonly Readmission[]> {
  const readmissions: Readmission[] = [];
  for (const { hub, device: identity } of device.identities) {
    const { deviceId } = identity;
    const shown: Shown =
      identity.authentication.type === 'sas'
        ? { sasToken: hubToken(identity, hub, clock.now()) }
        : device.chain === undefined
          ? {}
          : { chain: { leaf: device.chain.leaf, others: device.chain.others } };
    const inquiry = { hub: hub.name, deviceId, shown };
    const now = await judge.judge(inquiry);
    if (now.ok || now.block?.id !== block.id || !(await judge.judge(inquiry, lifted)).ok) continue;
    readmissions.push({ device: deviceId, by: { kind: 'identity', id: deviceId, place: hub.name } });
  }
  return readmissions;
}

function without<T extends BlockLookup>(store: T, { id }: Block): T {
  return { ...store, matching: async (keys) => (await store.matching(keys)).filter((block) => block.id !== id) };
}
