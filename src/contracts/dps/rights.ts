/** Rights of shared access policies of a provisioning service (AccessRightsDescription, chapter 4.6). */
export const provisioningRights = [
  'ServiceConfig',
  'EnrollmentRead',
  'EnrollmentWrite',
  'DeviceConnect',
  'RegistrationStatusRead',
  'RegistrationStatusWrite',
] as const;
export type ProvisioningRight = (typeof provisioningRights)[number];
