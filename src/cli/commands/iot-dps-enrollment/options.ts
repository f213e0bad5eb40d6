import { required, text } from '../../grammar/option.ts';

export const enrollmentId = required(text(['--enrollment-id', '--eid'], 'Individual device enrollment ID.'));
export const deviceId = text(['--device-id', '-d'], 'Device ID that the device gets in the hub. Default: the enrollment ID.');
export const deviceInformation = text(['--device-information', '--info'], 'Optional device information: JSON, or @file.');
export const endorsementKey = text(['--endorsement-key', '--ek'], 'Endorsement key of a TPM device.', { group: 'Authentication' });
export const storageRootKey = text(
  ['--storage-root-key', '--srk'],
  'Storage root key of a TPM device. With it the device can register with this one only.',
  { group: 'Authentication' },
);

export const enrollmentPath = (id: string): string => `/enrollments/${encodeURIComponent(id)}`;
