import type { BlockLookup } from '../blocks/ports.ts';
import { judgeBlocks } from '../blocks/rule.ts';
import type { Instant } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { deviceNotFound } from './lookup.ts';
import type { DeviceRow, HubTransaction } from './ports.ts';
import type { DeviceGrant } from './service.ts';
import { acceptedStamps, connectingStamps } from './stamps.ts';

/** The stores that a grant is checked against; both a transaction and committed state have them. */
type GrantStores = Pick<HubTransaction, 'devices' | 'hubs'>;

/**
 * Checks a grant against the committed identity: still there, the same incarnation, enabled, and still accepting what
 * it was given for, as does the policy whose key it was. Throws `DeviceNotFound`, `DeviceDisabled` or `IotHubUnauthorized`.
 */
export async function requireGranted(stores: GrantStores, grant: DeviceGrant, now: Instant): Promise<void> {
  if (grant.expiresAt !== undefined && grant.expiresAt <= now) throw unauthorized('the token or certificate has ended');
  const device = await stores.devices.get(grant.hub, grant.deviceId);
  if (device === undefined || device.generationId !== grant.generationId) throw deviceNotFound(grant.hub, grant.deviceId);
  if (device.status === 'disabled') throw deviceDisabled();
  if (isSame(known.get(grant), device.authentication)) return;
  const accepted = grant.scope === 'hub' ? connectingStamps(grant.hub, await stores.hubs.policies(grant.hub)) : acceptedStamps(device);
  if (!(grant.credentialStamps ?? []).some((stamp) => accepted.includes(stamp))) {
    throw unauthorized(grant.scope === 'hub' ? 'the keys or rights of the policy changed' : 'the credentials of the identity changed');
  }
  // A policy may change, and no identity shows it.
  if (grant.scope !== 'hub') known.set(grant, device.authentication);
}

/** What its identity accepted when a grant was last found to hold: as long as it accepts the same, it holds. */
const known = new WeakMap<DeviceGrant, Authentication>();

type Authentication = DeviceRow['authentication'];

function isSame(one: Authentication | undefined, other: Authentication): boolean {
  return (
    one !== undefined &&
    one.type === other.type &&
    one.primaryKey === other.primaryKey &&
    one.secondaryKey === other.secondaryKey &&
    one.primaryThumbprint === other.primaryThumbprint &&
    one.secondaryThumbprint === other.secondaryThumbprint
  );
}

/** Refuses a grant that a block has come to cover since. Throws `DeviceDisabled`. */
export async function requireUnblocked(blocks: BlockLookup, { keys = [] }: DeviceGrant, at: Instant): Promise<void> {
  const { blocked } = judgeBlocks({ blocks: await blocks.matching(keys), keys, purpose: 'connect', at });
  if (blocked !== undefined) throw deviceDisabled(blocked.sentence);
}

/** One sentence for every bad credential (chapter 2.3): which part was wrong is `detail`, for the log. */
export function unauthorized(detail: string): ServiceError {
  return new ServiceError('IotHubUnauthorized', 'Authentication failed for this device, renew token or certificate and reconnect.', {
    detail,
  });
}

export function deviceDisabled(detail?: string): ServiceError {
  const more = detail === undefined ? {} : { detail };
  return new ServiceError('DeviceDisabled', 'This device is disabled in the identity registry of the IoT hub.', more);
}
