import type { CutReason } from '../../../hub/ports.ts';
import { ServiceError } from '../../../kernel/service-error.ts';

const unauthorized = 'Authentication failed for this device, renew token or certificate and reconnect.';

/** What a device is told whose session ends (hub chapter 2.5). */
const errors: Readonly<Record<CutReason, () => ServiceError>> = {
  'device-deleted': () => new ServiceError('DeviceNotFound', 'The device is no longer registered.'),
  'device-disabled': () => new ServiceError('DeviceDisabled', 'This device is disabled in the identity registry of the IoT hub.'),
  'credential-changed': () => new ServiceError('IotHubUnauthorized', unauthorized),
  'taken-over': () => new ServiceError('ConnectionForcefullyClosedOnNewConnection', 'The device opened a newer connection.'),
  'token-expired': () => new ServiceError('IotHubUnauthorized', 'The token expired.'),
  'certificate-expired': () => new ServiceError('IotHubUnauthorized', 'The certificate expired.'),
  'shutting-down': () => new ServiceError('ShuttingDown', 'The service is shutting down.'),
};

export const cutError = (reason: CutReason): ServiceError => errors[reason]();
