import type { JsonObject } from '../../kernel/json.ts';

/** Wire shapes of the DPS service API (api-version 2021-10-01, chapter 4.2 of the wire reference). */
export interface X509CertificateInfo {
  readonly subjectName: string;
  readonly sha1Thumbprint: string;
  readonly sha256Thumbprint: string;
  readonly issuerName: string;
  readonly notBeforeUtc: string;
  readonly notAfterUtc: string;
  readonly serialNumber: string;
  readonly version: number;
}

/** `certificate` comes in (PEM, base64 DER or base64 PEM); `info` goes out, and may come back without it. */
export interface X509CertificateWithInfo {
  readonly certificate?: string;
  readonly info?: X509CertificateInfo;
}

export interface X509CertificatePair {
  readonly primary?: X509CertificateWithInfo;
  readonly secondary?: X509CertificateWithInfo;
}

/** Exactly one of the three is present. */
export interface X509Attestation {
  readonly clientCertificates?: X509CertificatePair;
  readonly signingCertificates?: X509CertificatePair;
  readonly caReferences?: { readonly primary?: string; readonly secondary?: string };
}

export interface SymmetricKeyAttestation {
  readonly primaryKey?: string;
  readonly secondaryKey?: string;
}

export interface TpmAttestation {
  readonly endorsementKey: string;
  readonly storageRootKey?: string;
}

export type AttestationMechanism =
  | { readonly type: 'x509'; readonly x509: X509Attestation }
  | { readonly type: 'symmetricKey'; readonly symmetricKey?: SymmetricKeyAttestation }
  | { readonly type: 'tpm'; readonly tpm: TpmAttestation };

export interface InitialTwin {
  readonly tags?: JsonObject;
  readonly properties?: { readonly desired?: JsonObject };
}

export const allocationPolicies = ['hashed', 'geoLatency', 'static', 'custom'] as const;
export type AllocationPolicy = (typeof allocationPolicies)[number];

export interface ReprovisionPolicy {
  readonly updateHubAssignment: boolean;
  readonly migrateDeviceData: boolean;
}

interface EnrollmentCommon {
  readonly attestation: AttestationMechanism;
  readonly capabilities: { readonly iotEdge: boolean };
  readonly iotHubHostName?: string;
  readonly initialTwin?: InitialTwin;
  readonly etag: string;
  readonly provisioningStatus: 'enabled' | 'disabled';
  readonly reprovisionPolicy: ReprovisionPolicy;
  readonly createdDateTimeUtc: string;
  readonly lastUpdatedDateTimeUtc: string;
  readonly allocationPolicy?: AllocationPolicy;
  readonly iotHubs?: readonly string[];
  readonly customAllocationDefinition?: { readonly webhookUrl: string; readonly apiVersion: string };
}

export interface IndividualEnrollment extends EnrollmentCommon {
  readonly registrationId: string;
  readonly deviceId?: string;
  readonly registrationState?: DeviceRegistrationState;
  readonly optionalDeviceInformation?: JsonObject;
}

export interface EnrollmentGroup extends EnrollmentCommon {
  readonly enrollmentGroupId: string;
}

export type RegistrationStatus = 'unassigned' | 'assigning' | 'assigned' | 'failed' | 'disabled';
export type RegistrationSubstatus = 'initialAssignment' | 'deviceDataMigrated' | 'deviceDataReset' | 'reprovisionedToInitialAssignment';

/** A registration record as the service API shows it. */
export interface DeviceRegistrationState {
  readonly registrationId: string;
  readonly createdDateTimeUtc?: string;
  readonly assignedHub?: string;
  readonly deviceId?: string;
  readonly status: RegistrationStatus;
  readonly substatus?: RegistrationSubstatus;
  readonly errorCode?: number;
  readonly errorMessage?: string;
  readonly lastUpdatedDateTimeUtc?: string;
  readonly etag?: string;
  readonly payload?: JsonObject;
}

/** The same record as a device sees it. */
export interface DeviceRegistrationResult extends DeviceRegistrationState {
  readonly tpm?: { readonly authenticationKey: string };
  readonly x509?: JsonObject;
  readonly symmetricKey?: JsonObject;
}

/** Body of a register or operation-status answer. `operationId` is `""` on an immediate `disabled`. */
export interface RegistrationOperationStatus {
  readonly operationId: string;
  readonly status: RegistrationStatus;
  readonly registrationState?: DeviceRegistrationResult;
}
