import { z } from 'zod';

const count = z.int().min(1).max(1_000_000_000).optional();

/** Numbers that an instance is held to; what is absent is not limited (chapters 6.1 and 6.2). */
export const quotaNumbers = z.strictObject({
  serviceOperationsPerMinute: count.describe('Requests to the service API that a policy key has signed, per provisioning service.'),
  registrationsPerMinute: count.describe('Registrations of devices that have an enrollment, per provisioning service.'),
  pollsPerTenSeconds: count.describe('Polls of one device. Azure documents 5, but clients that poll faster than they are told exist.'),
  registrations: count.describe('Registration records.'),
  individualEnrollments: count,
  x509EnrollmentGroups: count,
  symmetricKeyEnrollmentGroups: count,
  caCertificates: count,
  linkedHubs: count,
});

export type QuotaNumbers = z.output<typeof quotaNumbers>;

/**
 * What Azure documents for a service of tier S1. The limit on polls is left out: Java polls every few milliseconds whatever
 * it is told, and gives up on 429.
 */
export const azureS1Quotas: QuotaNumbers = {
  serviceOperationsPerMinute: 1000,
  registrationsPerMinute: 1000,
  registrations: 1_000_000,
  individualEnrollments: 1_000_000,
  x509EnrollmentGroups: 100,
  symmetricKeyEnrollmentGroups: 100,
  caCertificates: 25,
  linkedHubs: 50,
};
