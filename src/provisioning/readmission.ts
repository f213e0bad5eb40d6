import { deriveDeviceKey } from '../access/device-key.ts';
import { createSasToken } from '../access/sas-token.ts';
import type { Cause } from '../audit/actor.ts';
import type { Readmission, ReadmissionGuard } from '../contracts/fleet/readmission.ts';
import type { PresentedCredentials } from '../contracts/transport.ts';
import { type Clock, minutes, plus } from '../kernel/clock.ts';
import { announceReadmissions } from '../events/readmission.ts';
import type { Inquire } from './judge.ts';
import type { EnrollmentRow, EnrollmentStore, ProvisioningInstance, ProvisioningTransaction } from './ports.ts';
import type { TrustReader } from './trust-material.ts';

export interface ReadmissionDependencies {
  readonly inquire: Inquire;
  readonly trust: TrustReader;
  readonly clock: Clock;
  readonly cause: Cause;
  readonly guard?: ReadmissionGuard;
}

/** Devices of a disabled group that are asked about; the first of more stand for all of them. */
const devicesOfGroup = 100;

/**
 * Does a change of an entry, and tells which devices it lets in again that the entry kept out: another entry covers them, by
 * the decision itself, before the change and after it. An entry that is enabled lets its own device in; that is what was
 * asked for, and only told when another one would do so without it. Throws `WouldReadmit` for a guard that wants it so.
 */
export async function tellingReadmissions<T>(
  deps: ReadmissionDependencies,
  { transaction, instance, entry }: Changed,
  change: () => Promise<T>,
): Promise<T> {
  if (entry?.provisioningStatus !== 'disabled') return await change();
  const keptOut = await findKeptOut(deps, { transaction, instance, entry });
  const result = await change();
  const readmissions: Readmission[] = [];
  for (const device of keptOut) {
    const admitter = await admitterOf(deps, { transaction, instance, entry }, device);
    if (admitter === undefined) continue;
    const { kind, id } = admitter;
    readmissions.push({ device: device.registrationId, by: { kind, id, place: instance.name } });
  }
  const deny = { kind: entry.kind === 'group' ? 'enrollment-group' : 'enrollment', id: entry.id, scope: instance.name };
  await announceReadmissions(transaction, { ...deps, deny, readmissions: distinct(readmissions) });
  return result;
}

interface Changed {
  readonly transaction: ProvisioningTransaction;
  readonly instance: ProvisioningInstance;
  /** As it is before the change. */
  readonly entry: EnrollmentRow | undefined;
}
type Deny = Changed & { readonly entry: EnrollmentRow };

/** A device, and what it can show. */
interface Device {
  readonly registrationId: string;
  readonly credentials: PresentedCredentials;
}

/** The devices that this entry shuts out now, as far as what they show is known. */
async function findKeptOut(deps: ReadmissionDependencies, deny: Deny): Promise<readonly Device[]> {
  const known = deny.entry.kind === 'group' ? await devicesOf(deps, deny) : await devicesNamedBy(deps, deny);
  const keptOut: Device[] = [];
  for (const device of known) {
    const verdict = await ask(deps, deny, device);
    if (verdict.kind === 'disabled' && verdict.entry !== undefined && isSame(verdict.entry, deny.entry)) keptOut.push(device);
  }
  return keptOut;
}

/** What lets it in after the change, besides the entry itself. */
async function admitterOf(deps: ReadmissionDependencies, deny: Deny, device: Device): Promise<EnrollmentRow | undefined> {
  const verdict = await ask(deps, deny, device);
  if (verdict.kind !== 'admit') return undefined;
  if (!isSame(verdict.entry, deny.entry)) return verdict.entry;
  if (deny.entry.kind === 'group') return undefined;
  const enrollments = withoutIndividual(deny.transaction.enrollments, deny.entry);
  const other = await ask(deps, { ...deny, transaction: { ...deny.transaction, enrollments } }, device);
  return other.kind === 'admit' ? other.entry : undefined;
}

async function ask({ inquire, trust }: ReadmissionDependencies, { transaction, instance }: Deny, { registrationId, credentials }: Device) {
  const presented = trust.presented(credentials);
  return (await inquire(transaction, { instance, registrationId, presented, purpose: 'register' })).verdict;
}

/** By the certificates that an individual enrollment holds, and by what the device of its id showed, or could show. */
async function devicesNamedBy(deps: ReadmissionDependencies, { transaction, instance, entry }: Deny): Promise<readonly Device[]> {
  const { attestation, id } = entry;
  const found: Device[] = [];
  if (attestation.type === 'x509' && attestation.form === 'clientCertificates') {
    for (const slot of [attestation.primary, attestation.secondary]) {
      const presented = slot && deps.trust.presented({ certificates: [slot.der] });
      if (slot === undefined || presented?.kind !== 'x509' || presented.leaf.commonName === undefined) continue;
      const registrationId = presented.leaf.commonName;
      const [, ...issuers] = (await transaction.presented.get(instance.name, registrationId)) ?? [];
      found.push({ registrationId, credentials: { certificates: [slot.der, ...issuers] } });
    }
  }
  const certificates = await transaction.presented.get(instance.name, id);
  if (certificates !== undefined) found.push({ registrationId: id, credentials: { certificates } });
  for (const group of await groupsWithKeyFor(deps, { transaction, instance, entry })) {
    found.push({ registrationId: id, credentials: { certificates: [], sasToken: derivedToken(deps, { instance, id, group }) } });
  }
  return found;
}

/** The group that the device registered through, else, where nobody knows, every one that has a key for its id. */
async function groupsWithKeyFor(
  { trust }: ReadmissionDependencies,
  { transaction, instance, entry }: Deny,
): Promise<readonly EnrollmentRow[]> {
  const groups = (await trust.material(transaction, instance.name)).symmetricKeyGroups;
  const record = await transaction.registrations.get(instance.name, entry.id);
  if (record?.enrollmentKind === 'group') return groups.filter(({ id }) => id.toLowerCase() === record.enrollmentId.toLowerCase());
  return entry.attestation.type === 'x509' ? [] : groups;
}

/** Those that have a record of this group. */
async function devicesOf(deps: ReadmissionDependencies, { transaction, instance, entry }: Deny): Promise<readonly Device[]> {
  const { items } = await transaction.registrations.listByGroup(instance.name, entry.id, { limit: devicesOfGroup });
  const found: Device[] = [];
  for (const { registrationId } of items) {
    const certificates = await transaction.presented.get(instance.name, registrationId);
    // What the group has in line goes with it, but devices that send their whole chain send that, too.
    if (certificates !== undefined) found.push({ registrationId, credentials: { certificates: [...certificates, ...inLine(entry)] } });
    if (entry.attestation.type !== 'symmetricKey') continue;
    const sasToken = derivedToken(deps, { instance, id: registrationId, group: entry });
    found.push({ registrationId, credentials: { certificates: [], sasToken } });
  }
  return found;
}

function inLine({ attestation }: EnrollmentRow): readonly Uint8Array[] {
  if (attestation.type !== 'x509' || attestation.form !== 'signingCertificates') return [];
  return [attestation.primary, attestation.secondary].flatMap((slot) => (slot === undefined ? [] : [slot.der]));
}

function derivedToken(
  { clock }: ReadmissionDependencies,
  { instance, id, group }: { readonly instance: ProvisioningInstance; readonly id: string; readonly group: EnrollmentRow },
): string {
  if (group.attestation.type !== 'symmetricKey') throw new Error('a key was to be derived from a group that has none');
  const base64Key = deriveDeviceKey(Buffer.from(group.attestation.primaryKey, 'base64'), id);
  return createSasToken({ resource: `${instance.idScope}/registrations/${id}`, base64Key, expiresAt: plus(clock.now(), minutes(1)) });
}

/** The same store as if the entry were not there; groups are untouched. */
function withoutIndividual(store: EnrollmentStore, entry: EnrollmentRow): EnrollmentStore {
  return {
    ...store,
    async get(kind, instance, id) {
      const row = await store.get(kind, instance, id);
      return row !== undefined && isSame(row, entry) ? undefined : row;
    },
    byLeaf: async (instance, tbsSha256) => (await store.byLeaf(instance, tbsSha256)).filter((row) => !isSame(row, entry)),
  };
}

function isSame(a: EnrollmentRow, b: EnrollmentRow): boolean {
  return a.kind === b.kind && a.id.toLowerCase() === b.id.toLowerCase();
}

function distinct(readmissions: readonly Readmission[]): readonly Readmission[] {
  return [...new Map(readmissions.map((one) => [`${one.device.toLowerCase()} ${one.by.kind} ${one.by.id.toLowerCase()}`, one])).values()];
}
