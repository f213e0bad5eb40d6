import type {
  AttestationMechanism,
  EnrollmentGroup,
  IndividualEnrollment,
  X509CertificateInfo,
  X509CertificatePair,
} from '../contracts/dps/enrollment.ts';
import { renderTimestamp } from '../contracts/timestamp.ts';
import { assertNever } from '../kernel/assert-never.ts';
import { parseCertificate } from '../pki/certificate.ts';
import { maskWebhookUrl } from './allocation/webhook.ts';
import type { EnrollmentRow, RegistrationRow, StoredAttestation, StoredCertificate } from './ports.ts';
import { quoteEtag, renderRecord } from './render-registration.ts';

/** Whether symmetric keys, and the query string of a webhook, are shown: GET and queries do not, PUT and attestationmechanism do (chapter 4.2). */
export type Secrets = 'shown' | 'hidden';

type WebhookDefinition = NonNullable<EnrollmentRow['customAllocationDefinition']>;

export function renderIndividual(row: EnrollmentRow, secrets: Secrets, record?: RegistrationRow): IndividualEnrollment {
  return {
    registrationId: row.id,
    ...(row.deviceId === undefined ? {} : { deviceId: row.deviceId }),
    ...(record === undefined ? {} : { registrationState: renderRecord(record) }),
    ...(row.optionalDeviceInformation === undefined ? {} : { optionalDeviceInformation: row.optionalDeviceInformation }),
    ...renderCommon(row, secrets),
  };
}

export function renderGroup(row: EnrollmentRow, secrets: Secrets): EnrollmentGroup {
  return { enrollmentGroupId: row.id, ...renderCommon(row, secrets) };
}

export function renderAttestation(attestation: StoredAttestation, secrets: Secrets): AttestationMechanism {
  switch (attestation.type) {
    case 'x509':
      return { type: 'x509', x509: renderX509(attestation) };
    case 'symmetricKey': {
      const { primaryKey, secondaryKey } = attestation;
      return secrets === 'shown' ? { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } } : { type: 'symmetricKey' };
    }
    case 'tpm': {
      const { endorsementKey, storageRootKey } = attestation;
      return { type: 'tpm', tpm: { endorsementKey, ...(storageRootKey === undefined ? {} : { storageRootKey }) } };
    }
    default:
      return assertNever(attestation);
  }
}

function renderCommon(row: EnrollmentRow, secrets: Secrets) {
  return {
    attestation: renderAttestation(row.attestation, secrets),
    capabilities: row.capabilities,
    ...(row.iotHubHostName === undefined ? {} : { iotHubHostName: row.iotHubHostName }),
    ...(row.initialTwin === undefined ? {} : { initialTwin: row.initialTwin }),
    etag: quoteEtag(row.etag),
    provisioningStatus: row.provisioningStatus,
    reprovisionPolicy: row.reprovisionPolicy,
    createdDateTimeUtc: renderTimestamp(row.createdAt),
    lastUpdatedDateTimeUtc: renderTimestamp(row.updatedAt),
    ...(row.allocationPolicy === undefined ? {} : { allocationPolicy: row.allocationPolicy }),
    ...(row.iotHubs === undefined ? {} : { iotHubs: row.iotHubs }),
    ...(row.customAllocationDefinition === undefined
      ? {}
      : { customAllocationDefinition: renderWebhook(row.customAllocationDefinition, secrets) }),
  };
}

function renderWebhook({ webhookUrl, apiVersion }: WebhookDefinition, secrets: Secrets): WebhookDefinition {
  return { webhookUrl: secrets === 'shown' ? webhookUrl : maskWebhookUrl(webhookUrl), apiVersion };
}

function renderX509(attestation: Extract<StoredAttestation, { type: 'x509' }>) {
  if (attestation.form === 'caReferences') {
    const { primaryName: primary, secondaryName: secondary } = attestation;
    return { caReferences: { ...(primary === undefined ? {} : { primary }), ...(secondary === undefined ? {} : { secondary }) } };
  }
  return { [attestation.form]: renderPair(attestation.primary, attestation.secondary) };
}

function renderPair(primary: StoredCertificate | undefined, secondary: StoredCertificate | undefined): X509CertificatePair {
  return {
    ...(primary === undefined ? {} : { primary: { info: certificateInfo(primary) } }),
    ...(secondary === undefined ? {} : { secondary: { info: certificateInfo(secondary) } }),
  };
}

/** All eight members: C# and Java want every one of them (2.5). */
function certificateInfo({ der }: StoredCertificate): X509CertificateInfo {
  const certificate = parseCertificate(der);
  return {
    subjectName: certificate.subject,
    sha1Thumbprint: certificate.sha1,
    sha256Thumbprint: certificate.sha256,
    issuerName: certificate.issuer,
    notBeforeUtc: renderTimestamp(certificate.notBefore),
    notAfterUtc: renderTimestamp(certificate.notAfter),
    serialNumber: certificate.serialNumber,
    version: certificate.version,
  };
}
