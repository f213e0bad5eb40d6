import { choice, flag, integer, text } from '../grammar/option.ts';

const key = { group: 'Symmetric Key' } as const;
const x509 = { group: 'X.509' } as const;

export const authMethods = ['shared_private_key', 'x509_ca', 'x509_thumbprint'] as const;
export type AuthMethod = (typeof authMethods)[number];

/** How a device or a module proves who it is. */
export const credentialSettings = {
  authMethod: choice(['--auth-method', '--am'], authMethods, 'How it proves who it is.'),
  primaryKey: text(['--primary-key', '--pk'], 'The primary symmetric key in base64.', key),
  secondaryKey: text(['--secondary-key', '--sk'], 'The secondary symmetric key in base64.', key),
  primaryThumbprint: text(['--primary-thumbprint', '--ptp'], 'Thumbprint of the primary certificate, SHA-1 or SHA-256 in hex.', x509),
  secondaryThumbprint: text(['--secondary-thumbprint', '--stp'], 'Thumbprint of the secondary certificate.', x509),
} as const;

/** What `device-identity create` and `update` have in common. */
export const deviceSettings = {
  edgeEnabled: flag(['--edge-enabled', '--ee'], 'Flag indicating edge enablement.'),
  status: choice(
    ['--status', '--sta'],
    ['disabled', 'enabled'] as const,
    'Whether the device may connect. Disabling ends its live connections.',
  ),
  statusReason: text(['--status-reason', '--star'], 'Description of the status.'),
  ...credentialSettings,
} as const;

export const creationSettings = {
  deviceScope: text(['--device-scope'], 'Scope of the device, for the children of edge devices.', { group: 'Device Scope' }),
  validDays: integer(['--valid-days', '--vd'], 'Make a self-signed certificate and use its thumbprint; valid for so many days.', {
    ...x509,
    defaultText: '365',
  }),
  outputDir: text(['--output-dir', '--od'], 'Make a self-signed certificate and use its thumbprint; folder for its files.', x509),
} as const;
