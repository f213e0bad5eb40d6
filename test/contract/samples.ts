import { createHash } from 'node:crypto';

import { expect } from 'vitest';

import type { DeviceRow, TelemetryRow, TwinRow } from '../../src/hub/ports.ts';
import { instant } from '../../src/kernel/clock.ts';
import type { ErrorName } from '../../src/kernel/error-table.ts';
import type {
  CaCertificateRow,
  EnrollmentRow,
  ProvisioningInstance,
  RegistrationRow,
  StoredAttestation,
  StoredCertificate,
} from '../../src/provisioning/ports.ts';
import type { OpenedStore, OpenStore } from './open-sqlite.ts';

/** Names with capitals, so that a lookup in another case proves something. */
export const instanceName = 'Dps-Local';
export const hubName = 'Hub-Local';

export const sampleInstance: ProvisioningInstance = {
  name: instanceName,
  hostName: 'Dps.Example.net',
  idScope: '0ne00000A01',
  allocationPolicy: 'hashed',
  createdAt: instant(1_700_000_000_000),
  etag: 'instance-1',
  ipFilterRules: [{ filterName: 'office', action: 'Accept', ipMask: '192.0.2.0/24', target: 'serviceApi' }],
};

/** A store with one provisioning instance and one hub. */
export async function openSeeded(open: OpenStore): Promise<OpenedStore> {
  const opened = await open();
  await opened.store.write(async (tx) => {
    await tx.instances.insert(sampleInstance);
    await tx.hubs.insert({ name: hubName, hostName: 'Hub.Example.net', createdAt: instant(1_700_000_000_000) });
  });
  return opened;
}

/** The store looks at no byte of a certificate, so any bytes will do. */
export function certificate(seed: string): StoredCertificate {
  const der = Buffer.from(`certificate ${seed}`);
  const digest = (text: string): string => createHash('sha256').update(text).digest('hex').toUpperCase();
  return { der, sha256: digest(`certificate ${seed}`), tbsSha256: digest(`signed part of ${seed}`) };
}

export function caBytes(seed: string): Pick<CaCertificateRow, 'der' | 'sha256'> {
  const { der, sha256 } = certificate(seed);
  return { der, sha256 };
}

export function leaves(primary?: string, secondary?: string): StoredAttestation {
  return { type: 'x509', form: 'clientCertificates', ...slots(primary, secondary) };
}

export function signers(primary?: string, secondary?: string): StoredAttestation {
  return { type: 'x509', form: 'signingCertificates', ...slots(primary, secondary) };
}

function slots(primary: string | undefined, secondary: string | undefined) {
  return {
    ...(primary !== undefined && { primary: certificate(primary) }),
    ...(secondary !== undefined && { secondary: certificate(secondary) }),
  };
}

export function individual(id: string, changes: Partial<EnrollmentRow> = {}): EnrollmentRow {
  return {
    kind: 'individual',
    instance: instanceName,
    id,
    etag: `etag-of-${id}`,
    attestation: leaves(id),
    provisioningStatus: 'enabled',
    reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
    capabilities: { iotEdge: false },
    createdAt: instant(1_700_000_000_001),
    updatedAt: instant(1_700_000_000_002),
    ...changes,
  };
}

export function group(id: string, changes: Partial<EnrollmentRow> = {}): EnrollmentRow {
  return individual(id, { kind: 'group', attestation: signers(id), ...changes });
}

export function registration(registrationId: string, changes: Partial<RegistrationRow> = {}): RegistrationRow {
  return {
    instance: instanceName,
    registrationId,
    etag: `etag-of-${registrationId}`,
    enrollmentKind: 'group',
    enrollmentId: 'Plant-One',
    status: 'assigned',
    createdAt: instant(1_700_000_000_001),
    updatedAt: instant(1_700_000_000_002),
    ...changes,
  };
}

export function caCertificate(name: string, changes: Partial<CaCertificateRow> = {}): CaCertificateRow {
  return {
    instance: instanceName,
    name,
    etag: `etag-of-${name}`,
    ...caBytes(name),
    isVerified: false,
    createdAt: instant(1_700_000_000_001),
    updatedAt: instant(1_700_000_000_002),
    ...changes,
  };
}

export function device(deviceId: string, changes: Partial<DeviceRow> = {}): DeviceRow {
  return {
    hub: hubName,
    deviceId,
    generationId: '638000000000000001',
    etagCounter: 1,
    status: 'enabled',
    authentication: { type: 'none' },
    iotEdge: false,
    createdAt: instant(1_700_000_000_001),
    ...changes,
  };
}

export function twin(deviceId: string, changes: Partial<TwinRow> = {}): TwinRow {
  const section = { version: 1, properties: {}, metadata: { $lastUpdated: '2026-01-01T00:00:00Z' } };
  return { hub: hubName, deviceId, etagCounter: 1, version: 2, tags: {}, desired: section, reported: section, ...changes };
}

export function telemetry(deviceId: string, body: string, changes: Partial<TelemetryRow> = {}): TelemetryRow {
  return {
    hub: hubName,
    deviceId,
    generationId: '638000000000000001',
    enqueuedAt: instant(1_700_000_000_001),
    source: 'Telemetry',
    authMethod: '{"scope":"device","type":"sas"}',
    body: Buffer.from(body),
    systemProperties: {},
    applicationProperties: {},
    ...changes,
  };
}

/** The promise is refused with this error. */
export async function expectRefusal(promise: Promise<unknown>, error: ErrorName): Promise<void> {
  await expect(promise).rejects.toMatchObject({ name: 'ServiceError', error });
}
