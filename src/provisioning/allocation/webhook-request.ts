import type { AllocationRequest, DeviceRuntimeContext } from '../../contracts/dps/allocation.ts';
import { isSince, payloadsSince } from '../../contracts/api-version.ts';
import { assertNever } from '../../kernel/assert-never.ts';
import type { Json } from '../../kernel/json.ts';
import type { EnrollmentRow } from '../ports.ts';
import { renderGroup, renderIndividual } from '../render-enrollment.ts';
import type { AllocationCall } from './allocation.ts';

/** The device that a webhook is asked about. */
export interface WebhookSubject {
  readonly entry: EnrollmentRow;
  readonly registrationId: string;
  /** DER, leaf first; empty for keys. */
  readonly certificates: readonly Uint8Array[];
  /** Where it was assigned last. */
  readonly home: { readonly hubHostName: string; readonly deviceId: string } | undefined;
  readonly payload?: Json;
}

/** AllocationRequest, as Azure sends it (chapter 3.6): the enrollment without its keys, the webhook's own URL masked. */
export function renderAllocationRequest(subject: WebhookSubject, call: AllocationCall): AllocationRequest {
  const { entry } = subject;
  return {
    ...(entry.kind === 'individual'
      ? { individualEnrollment: renderIndividual(entry, 'hidden') }
      : { enrollmentGroup: renderGroup(entry, 'hidden') }),
    deviceRuntimeContext: renderContext(subject, call.ask.apiVersion),
    linkedHubs: call.hubs,
  };
}

function renderContext({ entry, registrationId, certificates, home, payload }: WebhookSubject, apiVersion: string): DeviceRuntimeContext {
  return {
    registrationId,
    ...(home === undefined ? {} : { currentIotHubHostName: home.hubHostName, currentDeviceId: home.deviceId }),
    ...renderAttestation(entry, certificates),
    ...(payload === undefined || !isSince(apiVersion, payloadsSince) ? {} : { payload }),
  };
}

function renderAttestation(
  { attestation }: EnrollmentRow,
  [leaf]: readonly Uint8Array[],
): Pick<DeviceRuntimeContext, 'x509' | 'symmetricKey' | 'tpm'> {
  switch (attestation.type) {
    case 'x509':
      return leaf === undefined ? {} : { x509: { clientCertificate: Buffer.from(leaf).toString('base64') } };
    case 'symmetricKey':
      return { symmetricKey: {} };
    case 'tpm': {
      const { endorsementKey, storageRootKey } = attestation;
      return { tpm: { endorsementKey, ...(storageRootKey === undefined ? {} : { storageRootKey }) } };
    }
    default:
      return assertNever(attestation);
  }
}
