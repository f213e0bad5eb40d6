import type { Clock } from '../../kernel/clock.ts';
import type { Page, PageRequest } from '../../kernel/page.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { parseStorageKey } from '../../tpm/public-area.ts';
import { TpmFormatError } from '../../tpm/tpm-format-error.ts';
import type { Presented } from '../attestation/attestation.ts';
import type { EnrollmentRow, ProvisioningInstance, ProvisioningTransaction, RegistrationRow } from '../ports.ts';
import { findTpmKeys } from '../tpm-keys.ts';
import { type CertificateCache, readKept } from '../trust-material.ts';
import { registrationToken } from './own-token.ts';

export interface KnownDeviceSource {
  readonly stores: Pick<ProvisioningTransaction, 'enrollments' | 'registrations' | 'presented' | 'tpm'>;
  readonly certificates: CertificateCache;
  readonly clock: Pick<Clock, 'now'>;
}

/** A device that registered here, or that an individual enrollment speaks of. */
export interface KnownDevice {
  readonly instance: ProvisioningInstance;
  readonly registrationId: string;
  readonly record?: RegistrationRow;
  readonly credential: Credential;
}

/** What the device would show. */
export interface Credential {
  /** In turn: a TPM shows its public keys, and then a token. */
  readonly shown: readonly [Presented, ...Presented[]];
  /** What it really has. Otherwise only what is decided by its id alone can be foretold. */
  readonly isOwn: boolean;
}

const rowsAtOnce = 200;

/** Every device of an instance that is known, in pages: those with a record, then those that only an enrollment names. */
export async function* knownDevices(source: KnownDeviceSource, instance: ProvisioningInstance): AsyncGenerator<readonly KnownDevice[]> {
  const { registrations, enrollments } = source.stores;
  for await (const records of pages((page) => registrations.list(instance.name, page))) {
    const devices: KnownDevice[] = [];
    for (const record of records) devices.push(await registered(source, instance, record));
    yield devices;
  }
  for await (const entries of pages((page) => enrollments.list('individual', instance.name, page))) {
    const devices: KnownDevice[] = [];
    for (const entry of entries) devices.push(...(await unregistered(source, instance, entry)));
    yield devices;
  }
}

/** The device with this registration id, if it is known to the instance. */
export async function knownDevice(
  source: KnownDeviceSource,
  instance: ProvisioningInstance,
  registrationId: string,
): Promise<KnownDevice | undefined> {
  const record = await source.stores.registrations.get(instance.name, registrationId);
  if (record !== undefined) return await registered(source, instance, record);
  const entry = await source.stores.enrollments.get('individual', instance.name, registrationId);
  return entry && (await unregistered(source, instance, entry))[0];
}

async function* pages<Row>(read: (page: PageRequest) => Promise<Page<Row>>): AsyncGenerator<readonly Row[]> {
  let after: string | undefined;
  do {
    const page = await read({ limit: rowsAtOnce, ...(after === undefined ? {} : { after }) });
    yield page.items;
    after = page.next;
  } while (after !== undefined);
}

async function registered(source: KnownDeviceSource, instance: ProvisioningInstance, record: RegistrationRow): Promise<KnownDevice> {
  const { registrationId } = record;
  return { instance, registrationId, record, credential: await credentialOf(source, instance, { registrationId, record }) };
}

/** A device that has no record is called what its certificate says, else what its enrollment is called. */
export async function unregistered(
  source: KnownDeviceSource,
  instance: ProvisioningInstance,
  entry: EnrollmentRow,
): Promise<readonly KnownDevice[]> {
  const leaf = leafOf(source, entry);
  const registrationId = leaf?.commonName ?? entry.id;
  if ((await source.stores.registrations.get(instance.name, registrationId)) !== undefined) return [];
  const credential = leaf === undefined ? await credentialOf(source, instance, { registrationId }) : byLeaf(leaf);
  return [{ instance, registrationId, credential }];
}

/** The chain that it showed last, if it was a certificate; else what is enrolled for it, or what it would sign. */
async function credentialOf(
  source: KnownDeviceSource,
  instance: ProvisioningInstance,
  { registrationId, record }: { readonly registrationId: string; readonly record?: RegistrationRow },
): Promise<Credential> {
  const { stores, clock } = source;
  const kept = record?.leafSha256 === undefined ? undefined : await stores.presented.get(instance.name, registrationId);
  const [leaf, ...sent] = (kept ?? []).map((der) => readKept(source.certificates, der));
  if (leaf !== undefined) return byLeaf(leaf, sent);
  const entry = await stores.enrollments.get('individual', instance.name, registrationId);
  const { token, isOwn } = await registrationToken(stores, { instance, registrationId, at: clock.now() });
  const enrolled = isOwn || entry === undefined ? undefined : leafOf(source, entry);
  if (enrolled !== undefined) return byLeaf(enrolled);
  const presented = { kind: 'sas', token } as const;
  const tpm = entry && (await publicKeysOf(stores, entry));
  return { shown: tpm === undefined ? [presented] : [tpm, presented], isOwn };
}

function byLeaf(leaf: Certificate, sent: readonly Certificate[] = []): Credential {
  return { shown: [{ kind: 'x509', leaf, sent }], isOwn: true };
}

/** The client certificate of an enrollment, the primary one first. */
function leafOf({ certificates }: KnownDeviceSource, { attestation }: EnrollmentRow): Certificate | undefined {
  if (attestation.type !== 'x509' || attestation.form !== 'clientCertificates') return undefined;
  const slot = attestation.primary ?? attestation.secondary;
  return slot && readKept(certificates, slot.der);
}

/** What a TPM that fits its enrollment shows first; `undefined` where its keys are not known, or cannot be read. */
async function publicKeysOf(
  { tpm }: KnownDeviceSource['stores'],
  entry: EnrollmentRow,
): Promise<Extract<Presented, { kind: 'tpm' }> | undefined> {
  const { instance, id: registrationId, attestation } = entry;
  if (attestation.type !== 'tpm') return undefined;
  const [latest] = await findTpmKeys(tpm, { instance, registrationId, entry, presented: undefined });
  if (latest === undefined) return undefined;
  try {
    const endorsementKey = parseStorageKey(Buffer.from(attestation.endorsementKey, 'base64'));
    return { kind: 'tpm', tpm: { endorsementKey, storageRootKey: latest.storageRootKey } };
  } catch (error) {
    if (error instanceof TpmFormatError) return undefined;
    throw error;
  }
}
