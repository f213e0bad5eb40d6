import type { EnrollmentBody } from '../contracts/dps/enrollment-body.ts';
import type { InitialTwin } from '../contracts/dps/enrollment.ts';
import type { Instant } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { EnrollmentRow, LinkedHubRow } from './ports.ts';
import { readAttestation } from './read-attestation.ts';

export interface EnrollmentContext {
  readonly kind: EnrollmentRow['kind'];
  readonly instance: string;
  readonly id: string;
  /** The enrollment as it is, when it is being changed. */
  readonly current: EnrollmentRow | undefined;
  readonly caNames: readonly string[];
  readonly linkedHubs: readonly LinkedHubRow[];
  readonly ids: Ids;
  readonly at: Instant;
}

/**
 * Turns the body of a PUT into the row that replaces the current one. Throws `DpsBadRequest` with a sentence that names
 * the field and says what to do.
 */
export function readEnrollment(body: EnrollmentBody, context: EnrollmentContext): EnrollmentRow {
  const { kind, instance, id, current, caNames, ids, at } = context;
  checkAllocation(body, context);
  const attestation = readAttestation(body.attestation, { kind, current: current?.attestation, caNames, ids });
  return {
    kind,
    instance,
    id: current?.id ?? id,
    etag: ids.etag(),
    attestation,
    // Left out of a change it stays, unlike the rest: a deny must not be lifted by being forgotten.
    provisioningStatus: body.provisioningStatus ?? current?.provisioningStatus ?? 'enabled',
    reprovisionPolicy: body.reprovisionPolicy ?? { updateHubAssignment: true, migrateDeviceData: true },
    capabilities: { iotEdge: body.capabilities?.iotEdge ?? false },
    createdAt: current?.createdAt ?? at,
    updatedAt: at,
    ...given(body),
  };
}

/** Members that are absent when the body leaves them out. */
function given(body: EnrollmentBody): Partial<EnrollmentRow> {
  const { allocationPolicy, iotHubs, iotHubHostName, customAllocationDefinition, deviceId, optionalDeviceInformation } = body;
  const initialTwin = readInitialTwin(body.initialTwin);
  return {
    ...(allocationPolicy === undefined ? {} : { allocationPolicy }),
    // None means all (3.5).
    ...(iotHubs === undefined || iotHubs.length === 0 ? {} : { iotHubs }),
    ...(iotHubHostName === undefined || iotHubHostName === '' ? {} : { iotHubHostName }),
    ...(customAllocationDefinition === undefined ? {} : { customAllocationDefinition }),
    ...(initialTwin === undefined ? {} : { initialTwin }),
    ...(deviceId === undefined ? {} : { deviceId }),
    ...(optionalDeviceInformation === undefined ? {} : { optionalDeviceInformation }),
  };
}

function readInitialTwin(twin: EnrollmentBody['initialTwin']): InitialTwin | undefined {
  if (twin === undefined) return undefined;
  const { tags, properties } = twin;
  const desired = properties?.desired;
  return {
    ...(tags === undefined ? {} : { tags }),
    ...(properties === undefined ? {} : { properties: desired === undefined ? {} : { desired } }),
  };
}

function checkAllocation(
  { allocationPolicy, iotHubs = [], iotHubHostName, customAllocationDefinition }: EnrollmentBody,
  context: EnrollmentContext,
): void {
  const named = [
    ...iotHubs.map((host, index) => [`iotHubs.${index}`, host] as const),
    ...(iotHubHostName ? [['iotHubHostName', iotHubHostName] as const] : []),
  ];
  const linked = new Set(context.linkedHubs.map((hub) => hub.hostName.toLowerCase()));
  const stray = named.find(([, host]) => !linked.has(host.toLowerCase()));
  if (stray !== undefined) {
    throw new ServiceError(
      'DpsBadRequest',
      `${stray[0]} names an IoT hub that is not linked to this provisioning service. Link it first, or use the host name of a linked one.`,
    );
  }
  if (allocationPolicy === 'static' && iotHubs.length > 1) {
    throw new ServiceError('DpsBadRequest', 'iotHubs is not valid: the allocation policy static takes a single IoT hub.');
  }
  if (allocationPolicy === 'custom' && customAllocationDefinition === undefined) {
    throw new ServiceError(
      'DpsBadRequest',
      'customAllocationDefinition is missing: the allocation policy custom needs its webhookUrl and apiVersion.',
    );
  }
}
