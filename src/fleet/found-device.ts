import type { DeviceRow, HubInstance, SessionBus } from '../hub/ports.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { CertificateFormatError } from '../pki/certificate-format-error.ts';
import { type Certificate, parseCertificate } from '../pki/certificate.ts';
import { findPemBlocks } from '../pki/pem.ts';
import type { EnrollmentRow, RegistrationRow } from '../provisioning/ports.ts';
import type { FleetStorage } from './ports.ts';
import type { CertificateSummary, Findings } from '../contracts/fleet/receipt.ts';
import { isoTime } from './iso-time.ts';

/** The stores that finding takes: those of a transaction, or committed state. */
export type FindStores = Pick<FleetStorage['read'], 'instances' | 'registrations' | 'enrollments' | 'presented' | 'hubs' | 'devices'>;

/** A device with everything that is known of it, on every provisioning service and every hub. */
export interface FoundDevice {
  /** What it is called in receipts: its registration id, else its device id. */
  readonly name: string;
  readonly registrationIds: readonly string[];
  readonly deviceIds: readonly string[];
  readonly chain?: FoundChain;
  /** Other devices whose certificates have the same key. */
  readonly keySharers: readonly string[];
  /** A SHA-256 that was asked for and that no certificate was found to. */
  readonly thumbprint?: string;
  /** Individual ones that name it, and the groups that it came through. */
  readonly enrollments: readonly EnrollmentRow[];
  readonly records: readonly RegistrationRow[];
  readonly identities: readonly { readonly hub: HubInstance; readonly device: DeviceRow }[];
}

export interface FoundChain {
  readonly leaf: Certificate;
  readonly others: readonly Certificate[];
  readonly source: CertificateSummary['source'];
}

/** A chain has at most ten; a file with more is something else. */
const certificatesInPem = 20;

/** What an operator typed. */
type Clue =
  | { readonly kind: 'certificate'; readonly leaf: Certificate; readonly others: readonly Certificate[] }
  | { readonly kind: 'thumbprint'; readonly hex: string }
  | { readonly kind: 'id'; readonly id: string };

/** Finds a device by whatever an operator has of it. Throws `ArgumentInvalid` for a PEM without a readable certificate. */
export async function findDevice(stores: FindStores, asked: string): Promise<FoundDevice> {
  const clue = readClue(asked);
  const records = await findRecords(stores, clue);
  const identities = await findIdentities(stores, clue, records);
  const enrollments = await findEnrollments(stores, clue, records);
  const chain = await findChain(stores, clue, { records, enrollments });
  const ids = clue.kind === 'id' ? [clue.id] : [];
  const common = clue.kind === 'certificate' && clue.leaf.commonName !== undefined ? [clue.leaf.commonName] : [];
  const registrationIds = distinct([...records.map((record) => record.registrationId), ...common, ...ids], (id) => id.toLowerCase());
  const deviceIds = distinct(
    [...identities.map(({ device }) => device.deviceId), ...records.flatMap((record) => record.deviceId ?? []), ...common, ...ids],
    (id) => id,
  );
  const isOwn = (id: string): boolean => registrationIds.some((own) => own.toLowerCase() === id.toLowerCase());
  const withKey = chain === undefined ? [] : await stores.presented.withKey(chain.leaf.publicKeySha256);
  return {
    name: records[0]?.registrationId ?? identities[0]?.device.deviceId ?? common[0] ?? asked.slice(0, 128),
    registrationIds,
    deviceIds,
    enrollments,
    records,
    identities,
    keySharers: withKey.filter((id) => !isOwn(id)),
    ...(chain === undefined ? {} : { chain }),
    ...(clue.kind === 'thumbprint' && clue.hex.length === 64 && chain === undefined ? { thumbprint: clue.hex } : {}),
  };
}

/** Whether anything here ever heard of it. */
export function isKnownDevice({ records, identities, enrollments }: FoundDevice): boolean {
  return records.length + identities.length + enrollments.length > 0;
}

export function summarise(
  { registrationIds, deviceIds, chain, enrollments, records, identities }: FoundDevice,
  bus: Pick<SessionBus, 'isConnected'>,
): Findings {
  return {
    registrationIds,
    deviceIds,
    ...(chain === undefined ? {} : { certificate: summariseCertificate(chain) }),
    enrollments: enrollments.map(({ instance, kind, id, provisioningStatus }) => ({ instance, kind, id, provisioningStatus })),
    records: records.map(({ instance, registrationId, status, assignedHub, deviceId }) => ({
      instance,
      registrationId,
      status,
      ...(assignedHub === undefined ? {} : { assignedHub }),
      ...(deviceId === undefined ? {} : { deviceId }),
    })),
    identities: identities.map(({ hub, device }) => ({
      hub: hub.name,
      hostName: hub.hostName,
      deviceId: device.deviceId,
      status: device.status,
      connected: bus.isConnected(hub.name, device.deviceId),
    })),
  };
}

function summariseCertificate({ leaf, source }: FoundChain): CertificateSummary {
  const { subject, issuer, serialNumber, sha256, publicKeySha256, notAfter } = leaf;
  return { subject, issuer, serialNumber, sha256, publicKeySha256, notAfter: isoTime(notAfter), source };
}

/** PEM begins with dashes, a thumbprint is 40 or 64 hexadecimal digits, everything else is an id. */
export function readClue(asked: string): Clue {
  const text = asked.trim();
  if (text.includes('-----BEGIN')) return readCertificates(text);
  const hex = text.replaceAll(':', '').toUpperCase();
  return /^(?:[0-9A-F]{40}|[0-9A-F]{64})$/u.test(hex) ? { kind: 'thumbprint', hex } : { kind: 'id', id: text };
}

/** Leaf first, as a device presents it. */
export function readCertificates(pem: string): Extract<Clue, { kind: 'certificate' }> {
  try {
    const blocks = findPemBlocks(pem).filter(({ label }) => label === 'CERTIFICATE');
    const [leaf, ...others] = blocks.slice(0, certificatesInPem).map(({ base64 }) => parseCertificate(Buffer.from(base64, 'base64')));
    if (leaf !== undefined) return { kind: 'certificate', leaf, others };
  } catch (error) {
    if (!(error instanceof CertificateFormatError)) throw error;
    throw new ServiceError('ArgumentInvalid', `The certificate cannot be read. ${error.message}`);
  }
  throw new ServiceError('ArgumentInvalid', 'There is no certificate in the text that was given.');
}

async function findRecords({ registrations, instances }: FindStores, clue: Clue): Promise<readonly RegistrationRow[]> {
  const ids =
    clue.kind === 'id' ? [clue.id] : clue.kind === 'certificate' && clue.leaf.commonName !== undefined ? [clue.leaf.commonName] : [];
  const found: RegistrationRow[] = [];
  for (const { name } of await instances.list()) {
    for (const id of ids) {
      const record = await registrations.get(name, id);
      if (record !== undefined) found.push(record);
    }
  }
  for (const deviceId of clue.kind === 'id' ? [clue.id] : []) found.push(...(await registrations.find({ deviceId })));
  const leaf = clue.kind === 'certificate' ? clue.leaf.sha256 : clue.kind === 'thumbprint' ? clue.hex : undefined;
  if (leaf !== undefined) found.push(...(await registrations.find({ leafSha256: leaf })));
  return distinct(found, (record) => `${record.instance.toLowerCase()}/${record.registrationId.toLowerCase()}`);
}

/** On every hub: by the ids that the records led to, by the id that was asked for, by thumbprint. */
async function findIdentities(
  { hubs, devices }: FindStores,
  clue: Clue,
  records: readonly RegistrationRow[],
): Promise<FoundDevice['identities']> {
  const known = await hubs.list();
  const common = clue.kind === 'certificate' ? clue.leaf.commonName : undefined;
  const asked = clue.kind === 'id' ? clue.id : common;
  const ids = new Set([...records.flatMap((record) => record.deviceId ?? []), ...(asked === undefined ? [] : [asked])]);
  const found: DeviceRow[] = [];
  for (const { name } of known) {
    for (const id of ids) {
      const device = await devices.get(name, id);
      if (device !== undefined) found.push(device);
    }
  }
  const prints = clue.kind === 'thumbprint' ? [clue.hex] : clue.kind === 'certificate' ? [clue.leaf.sha256, clue.leaf.sha1] : [];
  for (const thumbprint of prints) found.push(...(await devices.byThumbprint(thumbprint)));
  return distinct(found, (device) => `${device.hub.toLowerCase()}/${device.deviceId}`).flatMap((device) => {
    const hub = known.find(({ name }) => name.toLowerCase() === device.hub.toLowerCase());
    return hub === undefined ? [] : [{ hub, device }];
  });
}

async function findEnrollments(
  { enrollments, instances }: FindStores,
  clue: Clue,
  records: readonly RegistrationRow[],
): Promise<readonly EnrollmentRow[]> {
  const found: EnrollmentRow[] = [];
  for (const { instance, enrollmentKind, enrollmentId } of records) {
    const entry = await enrollments.get(enrollmentKind, instance, enrollmentId);
    if (entry !== undefined) found.push(entry);
  }
  for (const { name } of await instances.list()) {
    if (clue.kind === 'certificate') found.push(...(await enrollments.byLeaf(name, clue.leaf.tbsSha256)));
    const id = clue.kind === 'id' ? clue.id : clue.kind === 'certificate' ? clue.leaf.commonName : undefined;
    const named = id === undefined ? undefined : await enrollments.get('individual', name, id);
    if (named !== undefined) found.push(named);
  }
  return distinct(found, (entry) => `${entry.kind}/${entry.instance.toLowerCase()}/${entry.id.toLowerCase()}`);
}

/** The certificate that was given, else the one that it registered with last, else the one of its individual enrollment. */
async function findChain(
  { presented }: FindStores,
  clue: Clue,
  { records, enrollments }: { readonly records: readonly RegistrationRow[]; readonly enrollments: readonly EnrollmentRow[] },
): Promise<FoundChain | undefined> {
  if (clue.kind === 'certificate') return { leaf: clue.leaf, others: clue.others, source: 'given' };
  for (const { instance, registrationId } of records) {
    const [leaf, ...others] = (await presented.get(instance, registrationId)) ?? [];
    if (leaf !== undefined)
      return { leaf: parseCertificate(leaf), others: others.map((der) => parseCertificate(der)), source: 'last registration' };
  }
  for (const { kind, attestation } of enrollments) {
    if (kind !== 'individual' || attestation.type !== 'x509' || attestation.form !== 'clientCertificates') continue;
    const slot = attestation.primary ?? attestation.secondary;
    if (slot !== undefined) return { leaf: parseCertificate(slot.der), others: [], source: 'individual enrollment' };
  }
  return undefined;
}

function distinct<T>(items: readonly T[], keyOf: (item: T) => string): readonly T[] {
  const seen = new Map<string, T>();
  for (const item of items) if (!seen.has(keyOf(item))) seen.set(keyOf(item), item);
  return [...seen.values()];
}
