import { z } from 'zod';

import type { JsonObject } from '../../kernel/json.ts';
import { deviceIdPattern } from '../hub/device-body.ts';
import { limits } from '../limits.ts';
import { type AllocationPolicy, allocationPolicies, type InitialTwin } from './enrollment.ts';
import { sectionFault } from './json-bounds.ts';

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

/** Also what an allocation webhook answers with. */
export const initialTwin = z
  .object({
    tags: optional(section(limits.twinTagsBytes)),
    properties: optional(z.object({ desired: optional(section(limits.twinPropertiesBytes)) })),
  })
  .transform(({ tags, properties }): InitialTwin => {
    const desired = properties?.desired;
    return {
      ...(tags === undefined ? {} : { tags }),
      ...(properties === undefined ? {} : { properties: desired === undefined ? {} : { desired } }),
    };
  });

/** Its query is what the webhook knows the service by; a user name in it would be shown to everybody who reads enrollments. */
const webhookUrl = z
  .url({ protocol: /^https?$/u })
  .max(2048)
  .refine((text) => !/^[^/]*\/\/[^/?#]*@/u.test(text), 'a webhook is called without user name and password, so the URL must have none');

const common = z.object({
  attestation,
  capabilities: optional(z.object({ iotEdge: optional(z.boolean()) })),
  iotHubHostName: optional(z.string()),
  initialTwin: optional(initialTwin),
  provisioningStatus: optional(z.enum(['enabled', 'disabled'])),
  reprovisionPolicy: optional(z.object({ updateHubAssignment: z.boolean(), migrateDeviceData: z.boolean() })),
  allocationPolicy: optional(allocationPolicy),
  iotHubs: optional(z.array(z.string())),
  customAllocationDefinition: optional(z.object({ webhookUrl, apiVersion: z.string().min(1) })),
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
