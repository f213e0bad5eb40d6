import type { Ids } from '../kernel/ids.ts';

/** The policy that a new instance has. */
export const ownerPolicyName = 'provisioningserviceowner';

/** A key of a shared access policy: 32 random bytes in base64. */
export function freshKey(ids: Ids): string {
  return Buffer.from(ids.bytes(32)).toString('base64');
}
