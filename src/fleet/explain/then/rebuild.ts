import { createHash } from 'node:crypto';

import type { Block } from '../../../blocks/block.ts';
import type { DeviceRow } from '../../../hub/ports.ts';
import { type Instant, instant } from '../../../kernel/clock.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { parseCertificate } from '../../../pki/certificate.ts';
import type {
  CaCertificateRow,
  EnrollmentRow,
  RegistrationRow,
  StoredAttestation,
  StoredCertificate,
} from '../../../provisioning/ports.ts';
import type { FoundDevice } from '../../found-device.ts';
import type { FleetTransaction } from '../../ports.ts';
import type { Former, Was } from './history.ts';
import { selectorsNaming } from './interest.ts';

/** What could not be made as it was. */
export interface Gaps {
  /** Secrets that stand for others: the decision is right for whoever had the right ones. */
  readonly keys: Set<string>;
  /** What is missing altogether, so that the decision may have been another one. */
  readonly missing: Set<string>;
}

interface Ground {
  readonly transaction: FleetTransaction;
  readonly device: FoundDevice;
  /** Certificates that are still here, by their SHA-256. */
  readonly certificates: ReadonlyMap<string, Uint8Array>;
  readonly gaps: Gaps;
}

/**
 * Makes resources in a transaction as they were; it is to be rolled back. Certificates of issuers are in the trail or still here,
 * leaves that are not the device's are of no consequence, and secrets are nowhere: others stand for them.
 */
export async function rebuild(transaction: FleetTransaction, device: FoundDevice, formers: readonly Former[]): Promise<Gaps> {
  const gaps: Gaps = { keys: new Set(), missing: new Set() };
  const ground: Ground = { transaction, device, gaps, certificates: await certificatesHere(transaction, device) };
  for (const former of formers) await makers[former.resource.kind]?.(ground, former);
  return gaps;
}

type Maker = (ground: Ground, former: Former) => Promise<void>;

const makers: Readonly<Record<string, Maker>> = {
  enrollment: (ground, former) => makeEntry(ground, 'individual', former),
  'enrollment-group': (ground, former) => makeEntry(ground, 'group', former),
  'ca-certificate': makeCaCertificate,
  registration: makeRecord,
  device: makeIdentity,
  block: makeBlock,
};

async function certificatesHere(
  { instances, caCertificates, enrollments }: FleetTransaction,
  { chain }: FoundDevice,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const here = new Map<string, Uint8Array>();
  for (const { sha256, der } of chain === undefined ? [] : [chain.leaf, ...chain.others]) here.set(sha256, der);
  for (const { name } of await instances.list()) {
    for (const { sha256, der } of await caCertificates.list(name)) here.set(sha256, der);
    for (const { sha256, der } of await enrollments.signingCertificates(name)) here.set(sha256, der);
  }
  return here;
}

/** The members as they were; `undefined` when there was nothing, `'unknown'` when what they were laid over is not there. */
function viewOf(was: Was, current: object | undefined): JsonObject | 'unknown' | undefined {
  if (was.kind === 'absent') return undefined;
  if (was.kind === 'whole') return was.view;
  return current === undefined ? 'unknown' : was.put;
}

/** What of the row of now stays: nothing of it where the whole is known. */
function kept<Row extends object>(was: Was, current: Row | undefined): Partial<Row> {
  if (was.kind !== 'patched' || current === undefined) return {};
  // Members of the row are what is left of it: names that were not there then are taken out.
  return Object.fromEntries(Object.entries(current).filter(([name]) => !was.removed.has(name))) as Partial<Row>;
}

const never: Instant = instant(0);

async function makeEntry(ground: Ground, kind: EnrollmentRow['kind'], { resource: { id, scope = '' }, was }: Former): Promise<void> {
  const { enrollments } = ground.transaction;
  const current = await enrollments.get(kind, scope, id);
  const view = viewOf(was, current);
  const name = `${kind === 'group' ? 'enrollment group' : 'individual enrollment'} '${id}' of ${scope}`;
  if (view === 'unknown') return void ground.gaps.missing.add(`The ${name} is not known as it was.`);
  if (view === undefined) return current === undefined ? undefined : await enrollments.delete(kind, scope, id, undefined);
  const { attestation, ...rest } = view;
  const made = isJsonObject(attestation) ? { attestation: attestationFrom(ground, attestation, name) } : {};
  // The trail shows a row as it is, so that what it shows is a row again.
  const members = { createdAt: never, updatedAt: never, ...kept(was, current), ...rest, ...made, kind, instance: scope, id };
  const row = members as unknown as EnrollmentRow;
  if (current === undefined) await enrollments.insert(row);
  else await enrollments.replace(row, undefined);
}

function attestationFrom(ground: Ground, view: JsonObject, name: string): StoredAttestation {
  // Written by the same version or an earlier one, in the shape of a row but for secrets and certificates.
  const shown = view as unknown as StoredAttestation;
  if (shown.type === 'symmetricKey') {
    ground.gaps.keys.add(name);
    return { type: 'symmetricKey', primaryKey: standIn(`${name} primary`), secondaryKey: standIn(`${name} secondary`) };
  }
  if (shown.type === 'tpm' || shown.form === 'caReferences') return shown;
  const slot = (place: 'primary' | 'secondary') => {
    const certificate = certificateFrom(ground, view[place]);
    // A client certificate that is not here is not the one of the device, whose own is known.
    if (view[place] !== undefined && certificate === undefined && shown.form === 'signingCertificates')
      ground.gaps.missing.add(`The certificate of the ${name} is not kept any more.`);
    return certificate === undefined ? {} : { [place]: certificate };
  };
  return { type: 'x509', form: shown.form, ...slot('primary'), ...slot('secondary') };
}

/** The same for the same name, so that whoever signs with it is who it says. */
const standIn = (name: string): string => createHash('sha256').update(`stands for the key of ${name}`).digest('base64');

function certificateFrom({ certificates }: Ground, view: Json | undefined): StoredCertificate | undefined {
  if (!isJsonObject(view)) return undefined;
  const { sha256, certificate } = view;
  if (typeof sha256 !== 'string') return undefined;
  const der = typeof certificate === 'string' ? new Uint8Array(Buffer.from(certificate, 'base64')) : certificates.get(sha256);
  return der && { der, sha256, tbsSha256: parseCertificate(der).tbsSha256 };
}

async function makeCaCertificate(ground: Ground, { resource: { id, scope = '' }, was }: Former): Promise<void> {
  const { caCertificates } = ground.transaction;
  const current = await caCertificates.get(scope, id);
  const view = viewOf(was, current);
  if (current !== undefined && view === undefined) return await caCertificates.delete(scope, id, undefined);
  if (view === undefined) return;
  const missing = `The CA certificate '${id}' of ${scope} is not kept any more.`;
  if (view === 'unknown') return void ground.gaps.missing.add(missing);
  const found = view['sha256'] === undefined ? current : certificateFrom(ground, view);
  if (found === undefined) return void ground.gaps.missing.add(missing);
  const { der, sha256 } = found;
  const isVerified = view['isVerified'] === undefined ? current?.isVerified === true : view['isVerified'] === true;
  const row: CaCertificateRow = { instance: scope, name: id, etag: 'then', der, sha256, isVerified, createdAt: never, updatedAt: never };
  if (current === undefined) await caCertificates.insert(row);
  else await caCertificates.replace(row, undefined);
}

async function makeRecord({ transaction, gaps }: Ground, { resource: { id, scope = '' }, was }: Former): Promise<void> {
  const { registrations } = transaction;
  const current = await registrations.get(scope, id);
  const view = viewOf(was, current);
  if (view === 'unknown') return void gaps.missing.add(`The registration record '${id}' of ${scope} is not known as it was.`);
  if (view === undefined) return current === undefined ? undefined : await registrations.delete(scope, id, undefined);
  // Only what shuts it out is in the trail; whatever else it said, it said while the device was let in.
  const status = was.kind === 'patched' && !was.removed.has('status') && view['status'] === undefined ? current?.status : undefined;
  const row = { etag: 'then', createdAt: never, updatedAt: never, ...kept(was, current), status: status ?? 'assigned', ...view };
  await registrations.put({ ...row, instance: scope, registrationId: id } as unknown as RegistrationRow);
}

async function makeIdentity({ transaction, gaps }: Ground, { resource: { id, scope = '' }, was }: Former): Promise<void> {
  const { devices } = transaction;
  const current = await devices.get(scope, id);
  const view = viewOf(was, current);
  if (view === 'unknown') return void gaps.missing.add(`The identity '${id}' at ${scope} is not known as it was.`);
  if (view === undefined) return current === undefined ? undefined : await devices.delete(scope, id, undefined);
  const { authentication, ...rest } = view;
  const made = isJsonObject(authentication) ? { authentication: withStandIns(authentication, `${id} at ${scope}`) } : {};
  if (made.authentication?.['primaryKey'] !== undefined) gaps.keys.add(`identity '${id}' at ${scope}`);
  const row = { createdAt: never, ...kept(was, current), ...rest, ...made, hub: scope, deviceId: id } as unknown as DeviceRow;
  if (current === undefined) await devices.insert(row);
  else await devices.replace(row, undefined);
}

function withStandIns(authentication: JsonObject, name: string): JsonObject {
  const keys = ['primaryKey', 'secondaryKey'].filter((key) => authentication[key] !== undefined);
  return { ...authentication, ...Object.fromEntries(keys.map((key) => [key, standIn(`${name} ${key}`)])) };
}

async function makeBlock({ transaction: { blocks }, device }: Ground, { resource: { id }, was }: Former): Promise<void> {
  const current = await blocks.get(id);
  if (current !== undefined) await blocks.delete(id);
  if (was.kind === 'whole') await blocks.insert(blockFrom(id, was.view, device));
  if (was.kind !== 'patched' || current === undefined) return;
  const { readmission: now, ...rest } = current;
  const before = readmissionFrom(was.put['readmission']);
  const stays = now === undefined || was.removed.has('readmission') ? {} : { readmission: now };
  await blocks.insert({ ...rest, ...stays, ...before });
}

function blockFrom(id: string, view: JsonObject, device: FoundDevice): Block {
  const { reason, ticket, expiresAt, readmission } = view;
  return {
    id,
    selectors: selectorsNaming(device, view),
    reason: typeof reason === 'string' ? reason : '',
    createdBy: '',
    createdAt: never,
    ...(typeof ticket === 'string' ? { ticket } : {}),
    ...(typeof expiresAt === 'string' ? { expiresAt: instant(Date.parse(expiresAt)) } : {}),
    ...readmissionFrom(readmission),
  };
}

function readmissionFrom(view: Json | undefined): Pick<Block, 'readmission'> {
  if (!isJsonObject(view) || typeof view['until'] !== 'string') return {};
  const { until, usedAt } = view;
  return {
    readmission: { until: instant(Date.parse(until)), ...(typeof usedAt === 'string' ? { usedAt: instant(Date.parse(usedAt)) } : {}) },
  };
}
