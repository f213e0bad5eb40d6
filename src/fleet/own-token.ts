import { createSasToken } from '../access/sas-token.ts';
import { resourceOf } from '../contracts/hub/identity-path.ts';
import type { DeviceRow, HubInstance } from '../hub/ports.ts';
import { type Instant, minutes, plus } from '../kernel/clock.ts';

/** What a device or module would sign for its hub, good for a moment. */
export function hubToken({ deviceId, authentication }: DeviceRow, { hostName }: HubInstance, at: Instant): string {
  return createSasToken({
    resource: `${hostName}/devices/${resourceOf(deviceId)}`,
    base64Key: authentication.primaryKey ?? '',
    expiresAt: plus(at, minutes(1)),
  });
}
