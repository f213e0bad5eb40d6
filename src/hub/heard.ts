import type { ErrorName } from '../kernel/error-table.ts';

/**
 * Over HTTPS, unknown, disabled and wrongly signed look alike to a device (iot-hub.md 2.4): SDKs report a 403 as an
 * exceeded quota and a 404 as a wrong address, and a stranger learns which devices exist.
 */
export function errorHeardOverHttps(error: ErrorName): ErrorName {
  return error === 'DeviceNotFound' || error === 'DeviceDisabled' ? 'IotHubUnauthorized' : error;
}
