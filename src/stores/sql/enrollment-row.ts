import type { QueryCreator } from 'kysely';

import { assertNever } from '../../kernel/assert-never.ts';
import type { EnrollmentRow, StoredAttestation, StoredCertificate } from '../../provisioning/ports.ts';
import { flagOf, jsonTextOrNull, keyOf, notNull, parseJsonOrNull, withoutNulls } from './columns.ts';
import type { EnrollmentCertificateTable, EnrollmentTable, SqlTables } from './schema.ts';

type X509 = Extract<StoredAttestation, { readonly type: 'x509' }>;

/** An enrollment with the contents of its two certificate slots. */
type EnrollmentColumns = EnrollmentTable & {
  readonly primary_der: Uint8Array | null;
  readonly primary_sha256: string | null;
  readonly primary_tbs_sha256: string | null;
  readonly primary_ca_name: string | null;
  readonly secondary_der: Uint8Array | null;
  readonly secondary_sha256: string | null;
  readonly secondary_tbs_sha256: string | null;
  readonly secondary_ca_name: string | null;
};

const enrollmentColumns = [
  'instance_key',
  'kind',
  'enrollment_key',
  'instance',
  'enrollment_id',
  'etag',
  'attestation_type',
  'attestation_form',
  'symmetric_primary_key',
  'symmetric_secondary_key',
  'tpm_endorsement_key',
  'tpm_storage_root_key',
  'provisioning_status',
  'update_hub_assignment',
  'migrate_device_data',
  'allocation_policy',
  'iot_hubs',
  'iot_hub_host_name',
  'webhook_url',
  'webhook_api_version',
  'initial_twin',
  'iot_edge',
  'device_id',
  'optional_device_information',
  'created_at',
  'updated_at',
] as const satisfies readonly (keyof EnrollmentTable)[];

/** Whole enrollments in one statement, so that a reader never sees an enrollment with the certificates of its next state. */
export function selectEnrollments(db: QueryCreator<SqlTables>) {
  return db
    .selectFrom('enrollment as e')
    .leftJoin('enrollment_certificate as p', (join) =>
      join
        .onRef('p.instance_key', '=', 'e.instance_key')
        .onRef('p.kind', '=', 'e.kind')
        .onRef('p.enrollment_key', '=', 'e.enrollment_key')
        .on('p.slot', '=', 'primary'),
    )
    .leftJoin('enrollment_certificate as s', (join) =>
      join
        .onRef('s.instance_key', '=', 'e.instance_key')
        .onRef('s.kind', '=', 'e.kind')
        .onRef('s.enrollment_key', '=', 'e.enrollment_key')
        .on('s.slot', '=', 'secondary'),
    )
    .select(enrollmentColumns.map((column) => `e.${column}` as const))
    .select(['p.der as primary_der', 'p.sha256 as primary_sha256', 'p.tbs_sha256 as primary_tbs_sha256', 'p.ca_name as primary_ca_name'])
    .select(['s.der as secondary_der', 's.sha256 as secondary_sha256', 's.tbs_sha256 as secondary_tbs_sha256'])
    .select('s.ca_name as secondary_ca_name')
    .orderBy('e.enrollment_key');
}

export function enrollmentFrom(row: EnrollmentColumns): EnrollmentRow {
  return {
    kind: row.kind,
    instance: row.instance,
    id: row.enrollment_id,
    etag: row.etag,
    attestation: attestationFrom(row),
    provisioningStatus: row.provisioning_status,
    reprovisionPolicy: { updateHubAssignment: row.update_hub_assignment === 1, migrateDeviceData: row.migrate_device_data === 1 },
    capabilities: { iotEdge: row.iot_edge === 1 },
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ...withoutNulls({
      allocationPolicy: row.allocation_policy,
      iotHubs: parseJsonOrNull(row.iot_hubs),
      iotHubHostName: row.iot_hub_host_name,
      customAllocationDefinition: webhookFrom(row),
      initialTwin: parseJsonOrNull(row.initial_twin),
      deviceId: row.device_id,
      optionalDeviceInformation: parseJsonOrNull(row.optional_device_information),
    }),
  };
}

function webhookFrom(row: EnrollmentColumns): NonNullable<EnrollmentRow['customAllocationDefinition']> | null {
  if (row.webhook_url === null || row.webhook_api_version === null) return null;
  return { webhookUrl: row.webhook_url, apiVersion: row.webhook_api_version };
}

function attestationFrom(row: EnrollmentColumns): StoredAttestation {
  switch (row.attestation_type) {
    case 'symmetricKey':
      return { type: 'symmetricKey', primaryKey: notNull(row.symmetric_primary_key), secondaryKey: notNull(row.symmetric_secondary_key) };
    case 'tpm':
      return {
        type: 'tpm',
        endorsementKey: notNull(row.tpm_endorsement_key),
        ...withoutNulls({ storageRootKey: row.tpm_storage_root_key }),
      };
    case 'x509':
      return x509From(row);
    default:
      return assertNever(row.attestation_type);
  }
}

function x509From(row: EnrollmentColumns): X509 {
  const form = notNull(row.attestation_form);
  if (form === 'caReferences') {
    return { type: 'x509', form, ...withoutNulls({ primaryName: row.primary_ca_name, secondaryName: row.secondary_ca_name }) };
  }
  const primary = certificateFrom({ der: row.primary_der, sha256: row.primary_sha256, tbs_sha256: row.primary_tbs_sha256 });
  const secondary = certificateFrom({ der: row.secondary_der, sha256: row.secondary_sha256, tbs_sha256: row.secondary_tbs_sha256 });
  return { type: 'x509', form, ...withoutNulls({ primary, secondary }) };
}

type CertificateColumns = Pick<EnrollmentCertificateTable, 'der' | 'sha256' | 'tbs_sha256'>;

/** The certificate of a slot; `null` where there is none, or the name of a CA certificate instead. */
export function certificateFrom({ der, sha256, tbs_sha256 }: CertificateColumns): StoredCertificate | null {
  return der === null ? null : { der, sha256: notNull(sha256), tbsSha256: notNull(tbs_sha256) };
}

/** The columns of an enrollment; its certificates are in `slotsOf`. */
export function enrollmentColumnsOf(row: EnrollmentRow): EnrollmentTable {
  return {
    instance_key: keyOf(row.instance),
    kind: row.kind,
    enrollment_key: keyOf(row.id),
    instance: row.instance,
    enrollment_id: row.id,
    etag: row.etag,
    ...attestationColumnsOf(row.attestation),
    provisioning_status: row.provisioningStatus,
    update_hub_assignment: flagOf(row.reprovisionPolicy.updateHubAssignment),
    migrate_device_data: flagOf(row.reprovisionPolicy.migrateDeviceData),
    allocation_policy: row.allocationPolicy ?? null,
    iot_hubs: jsonTextOrNull(row.iotHubs),
    iot_hub_host_name: row.iotHubHostName ?? null,
    webhook_url: row.customAllocationDefinition?.webhookUrl ?? null,
    webhook_api_version: row.customAllocationDefinition?.apiVersion ?? null,
    initial_twin: jsonTextOrNull(row.initialTwin),
    iot_edge: flagOf(row.capabilities.iotEdge),
    device_id: row.deviceId ?? null,
    optional_device_information: jsonTextOrNull(row.optionalDeviceInformation),
    created_at: row.createdAt,
    updated_at: row.updatedAt,
  };
}

function attestationColumnsOf(attestation: StoredAttestation) {
  const symmetric = attestation.type === 'symmetricKey' ? attestation : undefined;
  const tpm = attestation.type === 'tpm' ? attestation : undefined;
  return {
    attestation_type: attestation.type,
    attestation_form: attestation.type === 'x509' ? attestation.form : null,
    symmetric_primary_key: symmetric?.primaryKey ?? null,
    symmetric_secondary_key: symmetric?.secondaryKey ?? null,
    tpm_endorsement_key: tpm?.endorsementKey ?? null,
    tpm_storage_root_key: tpm?.storageRootKey ?? null,
  };
}

/** The filled certificate slots of an enrollment; none for keys and TPMs. */
export function slotsOf(row: EnrollmentRow): readonly EnrollmentCertificateTable[] {
  const { attestation } = row;
  if (attestation.type !== 'x509') return [];
  const owner = { instance_key: keyOf(row.instance), kind: row.kind, enrollment_key: keyOf(row.id), form: attestation.form };
  const contents =
    attestation.form === 'caReferences'
      ? { primary: referenceColumns(attestation.primaryName), secondary: referenceColumns(attestation.secondaryName) }
      : { primary: certificateColumns(attestation.primary), secondary: certificateColumns(attestation.secondary) };
  return (['primary', 'secondary'] as const).flatMap((slot) => {
    const content = contents[slot];
    return content === undefined ? [] : [{ ...owner, slot, ...content }];
  });
}

type SlotContent = CertificateColumns & Pick<EnrollmentCertificateTable, 'ca_key' | 'ca_name'>;

function certificateColumns(certificate: StoredCertificate | undefined): SlotContent | undefined {
  if (certificate === undefined) return undefined;
  const { sha256, tbsSha256, der } = certificate;
  return { sha256, tbs_sha256: tbsSha256, der, ca_key: null, ca_name: null };
}

function referenceColumns(name: string | undefined): SlotContent | undefined {
  return name === undefined ? undefined : { sha256: null, tbs_sha256: null, der: null, ca_key: keyOf(name), ca_name: name };
}
