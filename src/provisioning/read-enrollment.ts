import type { EnrollmentBody } from '../contracts/dps/enrollment-body.ts';
import type { Instant } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { maskWebhookUrl } from './allocation/webhook.ts';
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
    ...given(body, current),
  };
}

/** Members that are absent when the body leaves them out. */
function given(body: EnrollmentBody, current: EnrollmentRow | undefined): Partial<EnrollmentRow> {
  const { allocationPolicy, iotHubs, iotHubHostName, customAllocationDefinition, initialTwin, deviceId, optionalDeviceInformation } = body;
  return {
    ...(allocationPolicy === undefined ? {} : { allocationPolicy }),
    // None means all (3.5).
    ...(iotHubs === undefined || iotHubs.length === 0 ? {} : { iotHubs }),
    ...(iotHubHostName === undefined || iotHubHostName === '' ? {} : { iotHubHostName }),
    ...(customAllocationDefinition === undefined ? {} : { customAllocationDefinition: keepQuery(customAllocationDefinition, current) }),
    ...(initialTwin === undefined ? {} : { initialTwin }),
    ...(deviceId === undefined ? {} : { deviceId }),
    ...(optionalDeviceInformation === undefined ? {} : { optionalDeviceInformation }),
  };
}

/** What a GET shows comes back with a PUT, as certificates do: a masked query string means the one that is stored. */
function keepQuery(
  given: NonNullable<EnrollmentRow['customAllocationDefinition']>,
  current: EnrollmentRow | undefined,
): NonNullable<EnrollmentRow['customAllocationDefinition']> {
  const stored = current?.customAllocationDefinition?.webhookUrl;
  if (stored !== undefined && given.webhookUrl === maskWebhookUrl(stored)) return { ...given, webhookUrl: stored };
  if (!given.webhookUrl.endsWith('?****')) return given;
  throw new ServiceError(
    'DpsBadRequest',
    'customAllocationDefinition.webhookUrl has a masked query string, but is not the URL that is stored. Give the whole URL.',
  );
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
