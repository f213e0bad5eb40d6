import { z } from 'zod';

import { isJsonObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { deviceIdPattern } from '../hub/device-body.ts';
import { limits } from '../limits.ts';
import { type AllocationPolicy, allocationPolicies } from './enrollment.ts';

/**
 * Bodies of enrollments as clients send them (chapter 4.2). `null` means absent, since SDKs send either. Members that are
 * read-only (etag, registrationState, dates) or belong to other versions are let through and dropped.
 */

/** Absent and null are the same. */
function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** A free-form object, as deep and as large as a twin section may be. */
function section(maximumBytes: number) {
  return z.custom<JsonObject>().superRefine((value, context) => {
    const fault = sectionFault(value, maximumBytes);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  });
}

function sectionFault(value: Json | undefined, maximumBytes: number): string | undefined {
  if (!isJsonObject(value)) return 'it must be a JSON object.';
  // Depth first: it bounds the recursion of whatever comes after.
  if (isDeeperThan(value, limits.twinDepth + 1)) return `it is nested deeper than ${limits.twinDepth} levels.`;
  if (JSON.stringify(value).length > maximumBytes) return `it is larger than ${maximumBytes} characters.`;
  return undefined;
}

function isDeeperThan(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member: Json) => isDeeperThan(member, levels - 1));
}

const thumbprints = z.object({ sha256Thumbprint: optional(z.string()), sha1Thumbprint: optional(z.string()) });

const certificate = z.object({ certificate: optional(z.string()), info: optional(thumbprints) });

const certificatePair = z.object({ primary: optional(certificate), secondary: optional(certificate) });

const x509 = z.object({
  clientCertificates: optional(certificatePair),
  signingCertificates: optional(certificatePair),
  caReferences: optional(z.object({ primary: optional(z.string()), secondary: optional(z.string()) })),
});

const attestation = z.object({
  type: z.enum(['x509', 'symmetricKey', 'tpm']),
  x509: optional(x509),
  symmetricKey: optional(z.object({ primaryKey: optional(z.string()), secondaryKey: optional(z.string()) })),
  tpm: optional(z.object({ endorsementKey: z.string(), storageRootKey: optional(z.string()) })),
});

const allocationPolicy = z.string().transform((text, context): AllocationPolicy => {
  // Older clients write geolatency (3.5).
  const policy = allocationPolicies.find((candidate) => candidate.toLowerCase() === text.toLowerCase());
  if (policy !== undefined) return policy;
  context.addIssue({ code: 'custom', message: `use one of ${allocationPolicies.join(', ')}.` });
  return z.NEVER;
});

/** The deviceId of a hub: chapter 1.1 of the hub reference. */
const deviceId = z.string().regex(deviceIdPattern, "use 1 to 128 letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '");

const common = z.object({
  attestation,
  capabilities: optional(z.object({ iotEdge: optional(z.boolean()) })),
  iotHubHostName: optional(z.string()),
  initialTwin: optional(
    z.object({
      tags: optional(section(limits.twinTagsBytes)),
      properties: optional(z.object({ desired: optional(section(limits.twinPropertiesBytes)) })),
    }),
  ),
  provisioningStatus: optional(z.enum(['enabled', 'disabled'])),
  reprovisionPolicy: optional(z.object({ updateHubAssignment: z.boolean(), migrateDeviceData: z.boolean() })),
  allocationPolicy: optional(allocationPolicy),
  iotHubs: optional(z.array(z.string())),
  customAllocationDefinition: optional(z.object({ webhookUrl: z.url({ protocol: /^https?$/u }), apiVersion: z.string().min(1) })),
});

/** An individual enrollment. */
export const individualEnrollmentBody = common.extend({
  registrationId: optional(z.string()),
  deviceId: optional(deviceId),
  optionalDeviceInformation: optional(section(limits.twinPropertiesBytes)),
});

/** An enrollment group. */
export const enrollmentGroupBody = common.extend({ enrollmentGroupId: optional(z.string()) });

/** Either, after its own id was compared with the address; members that a group lacks are absent. */
export type EnrollmentBody = z.output<typeof common> & {
  readonly deviceId?: string | undefined;
  readonly optionalDeviceInformation?: JsonObject | undefined;
};

export type AttestationBody = z.output<typeof attestation>;
export type CertificateBody = z.output<typeof certificate>;
