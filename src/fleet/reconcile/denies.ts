import { deriveDeviceKey } from '../../access/device-key.ts';
import { createSasToken, parseSasToken } from '../../access/sas-token.ts';
import type { Block, Selector, SelectorKey } from '../../blocks/block.ts';
import type { Drift } from '../../contracts/fleet/drift.ts';
import type { Outlook } from '../../contracts/fleet/what-if.ts';
import { assertNever } from '../../kernel/assert-never.ts';
import { type Clock, minutes, plus } from '../../kernel/clock.ts';
import type { Certificate } from '../../pki/certificate.ts';
import type { EnrollmentRow, ProvisioningInstance } from '../../provisioning/ports.ts';
import { type KnownDevice, knownDevice, type KnownDeviceSource } from '../../provisioning/rehearsal/known-devices.ts';
import { createCertificateCache, readKept } from '../../provisioning/trust-material.ts';
import type { FleetStorage } from '../ports.ts';
import { foretellConnection, identityAlone, identityOf, type KnownIdentity } from '../what-if/connections.ts';
import { foretellRegistration } from '../what-if/forecast.ts';
import { createOnStage, type OnStage, type Stage, type StageDeps } from '../what-if/stage.ts';

export interface DenyDeps extends StageDeps {
  readonly storage: FleetStorage;
  readonly clock: Clock;
}

/**
 * Whether a deny is of use, asked of the decision itself: the deny is taken away in a transaction that is rolled back, and
 * everybody whom it is known to cover knocks. It is of no use when all of them are refused all the same; where a credential is
 * not known, or another deny stands behind this one, nothing is said.
 */
export interface Denies {
  /** Of a disabled individual enrollment. */
  ofEntry(entry: EnrollmentRow): Promise<readonly Drift[]>;
  /** Of a block that is in force. */
  ofBlock(block: Block): Promise<readonly Drift[]>;
}

/** Whoever a deny covers; empty where nobody is known. */
interface Covered {
  readonly devices: readonly KnownDevice[];
  readonly identities: readonly KnownIdentity[];
}

interface Asked {
  readonly read: FleetStorage['read'];
  readonly source: KnownDeviceSource;
  readonly clock: Clock;
}

export function createDenies(deps: DenyDeps): Denies {
  const { storage, clock } = deps;
  const onStage = createOnStage(deps);
  const asked: Asked = { read: storage.read, source: { stores: storage.read, certificates: createCertificateCache(), clock }, clock };
  return {
    async ofEntry(entry) {
      const devices = await devicesOfEntry(asked, entry);
      const take = ({ transaction }: Stage) => transaction.enrollments.delete('individual', entry.instance, entry.id, undefined);
      if (!(await isNeedless({ onStage, clock, take }, { devices, identities: [] }))) return [];
      return [
        {
          kind: 'deny-not-needed',
          subject: { type: 'enrollment', id: entry.id, scope: entry.instance },
          sentence: 'It is disabled, and without it no enabled entry would let its credential in.',
          ...keptByHand('enrollment'),
        },
      ];
    },
    async ofBlock(block) {
      const covered = await coveredBy(asked, block);
      const take = ({ transaction }: Stage) => transaction.blocks.delete(block.id);
      if (covered === undefined || !(await isNeedless({ onStage, clock, take }, covered))) return [];
      return [
        {
          kind: 'deny-not-needed',
          subject: { type: 'block', id: block.id },
          sentence: `Without it nobody whom it covers would be let in anywhere. Reason: ${block.reason}`,
          ...keptByHand('block'),
        },
      ];
    },
  };
}

/** It costs nothing, and an entry that is made tomorrow might let in what it keeps out. */
function keptByHand(what: 'enrollment' | 'block'): Pick<Drift, 'mendable' | 'remedy'> {
  return {
    mendable: false,
    remedy: `Nothing, or delete the ${what}: an entry made later could let in whom it keeps out, so that a person decides.`,
  };
}

interface Taking {
  readonly onStage: OnStage;
  readonly clock: Clock;
  readonly take: (stage: Stage) => Promise<void>;
}

async function isNeedless({ onStage, clock, take }: Taking, { devices, identities }: Covered): Promise<boolean> {
  if (devices.length + identities.length === 0) return false;
  return await onStage(async (stage) => {
    await take(stage);
    const isRefused = ({ kind }: Outlook): boolean => kind === 'refused';
    for (const device of devices) if (!isRefused(await foretellRegistration(stage.rehearsal, device))) return false;
    for (const identity of identities) if (!isRefused(await foretellConnection(stage.hub, clock, identity))) return false;
    return true;
  });
}

/** What it holds, what its device registered with last, and for keys what a group would derive for its id. */
async function devicesOfEntry(asked: Asked, entry: EnrollmentRow): Promise<readonly KnownDevice[]> {
  const instance = await asked.read.instances.get(entry.instance);
  if (instance === undefined) return [];
  const known = await knownDevice(asked.source, instance, entry.id);
  const held = heldBy(asked, instance, entry);
  return [...(known === undefined ? [] : [known]), ...held, ...(held.length > 0 ? [] : await derivedFor(asked, instance, entry.id))];
}

function heldBy({ source }: Asked, instance: ProvisioningInstance, { id, attestation }: EnrollmentRow): readonly KnownDevice[] {
  if (attestation.type !== 'x509' || attestation.form !== 'clientCertificates') return [];
  return [attestation.primary, attestation.secondary].flatMap((slot) => {
    if (slot === undefined) return [];
    const leaf = readKept(source.certificates, slot.der);
    return [{ instance, registrationId: leaf.commonName ?? id, credential: { shown: [{ kind: 'x509', leaf, sent: [] }], isOwn: true } }];
  });
}

/** Whoever has the key of a group can make that of any id. */
async function derivedFor({ read, clock }: Asked, instance: ProvisioningInstance, registrationId: string): Promise<readonly KnownDevice[]> {
  return (await read.enrollments.symmetricKeyGroups(instance.name)).flatMap(({ attestation }) => {
    if (attestation.type !== 'symmetricKey') return [];
    const base64Key = deriveDeviceKey(Buffer.from(attestation.primaryKey, 'base64'), registrationId);
    const resource = `${instance.idScope}/registrations/${registrationId}`;
    const token = parseSasToken(createSasToken({ resource, base64Key, expiresAt: plus(clock.now(), minutes(1)) }));
    return token === undefined ? [] : [{ instance, registrationId, credential: { shown: [{ kind: 'sas', token }], isOwn: true } }];
  });
}

/** `undefined` when something that the block names leads to nobody who is known. */
async function coveredBy(asked: Asked, { selectors }: Block): Promise<Covered | undefined> {
  const devices: KnownDevice[] = [];
  const identities: KnownIdentity[] = [];
  for (const selector of selectors) {
    const found = await behind(asked, selector);
    if (found === undefined) return undefined;
    devices.push(...found.devices);
    identities.push(...found.identities);
  }
  for (const device of devices) {
    const identity = await identityOf(asked.read, device, asked.clock);
    if (identity !== undefined) identities.push(identity);
  }
  return { devices, identities };
}

async function behind(asked: Asked, { kind, value, key }: Selector): Promise<Covered | undefined> {
  const someone = (devices: readonly KnownDevice[]) => (devices.length === 0 ? undefined : { devices, identities: [] });
  switch (kind) {
    case 'registrationId':
      return someone(await withId(asked, value));
    case 'deviceId':
      return await atHubs(asked, value);
    case 'leaf':
      return someone([...(await registeredWith(asked, value)), ...(await enrolledWith(asked, key))]);
    case 'publicKey': {
      const ids = await asked.read.presented.withKey(value);
      return someone((await Promise.all(ids.map((id) => withId(asked, id)))).flat());
    }
    case 'issuerSerial':
    case 'subject':
      // No index leads from these to a device.
      return undefined;
    default:
      return assertNever(kind);
  }
}

async function withId(asked: Asked, registrationId: string): Promise<readonly KnownDevice[]> {
  const found: KnownDevice[] = [];
  for (const instance of await asked.read.instances.list()) {
    const device = await knownDevice(asked.source, instance, registrationId);
    if (device !== undefined) found.push(device, ...(await derivedFor(asked, instance, registrationId)));
  }
  return found;
}

async function registeredWith(asked: Asked, leafSha256: string): Promise<readonly KnownDevice[]> {
  const found: KnownDevice[] = [];
  for (const { instance: name, registrationId } of await asked.read.registrations.find({ leafSha256 })) {
    const instance = await asked.read.instances.get(name);
    const device = instance && (await knownDevice(asked.source, instance, registrationId));
    if (device !== undefined) found.push(device);
  }
  return found;
}

async function enrolledWith(asked: Asked, key: SelectorKey): Promise<readonly KnownDevice[]> {
  // A bare thumbprint leads to no enrollment: those are found by the signed part.
  if (!key.startsWith('leaf:')) return [];
  const tbsSha256 = key.slice('leaf:'.length);
  const found: KnownDevice[] = [];
  for (const instance of await asked.read.instances.list()) {
    for (const entry of await asked.read.enrollments.byLeaf(instance.name, tbsSha256)) found.push(...heldBy(asked, instance, entry));
  }
  return found;
}

/** An id that no hub has opens none. One that is there needs its key, or a certificate that it registered with. */
async function atHubs({ read, source, clock }: Asked, deviceId: string): Promise<Covered> {
  const certificates: Certificate[] = [];
  for (const { instance, registrationId } of await read.registrations.find({ deviceId })) {
    const [leaf] = (await read.presented.get(instance, registrationId)) ?? [];
    if (leaf !== undefined) certificates.push(readKept(source.certificates, leaf));
  }
  const identities: KnownIdentity[] = [];
  for (const hub of await read.hubs.list()) {
    const device = await read.devices.get(hub.name, deviceId);
    if (device !== undefined) identities.push(identityAlone(hub, device, { clock, certificates }));
  }
  return { devices: [], identities };
}
