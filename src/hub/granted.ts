import { createHash } from 'node:crypto';
import type { BlockLookup } from '../blocks/ports.ts';
import { judgeBlocks } from '../blocks/rule.ts';
import type { Instant } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { deviceNotFound } from './lookup.ts';
import type { DeviceRow, DeviceStore } from './ports.ts';
import type { DeviceGrant } from './service.ts';

/**
 * Checks a grant against the committed identity: still there, the same incarnation, enabled, and accepting the same
 * credentials. Throws `DeviceNotFound`, `DeviceDisabled` or `IotHubUnauthorized`.
 */
export async function requireGranted(devices: DeviceStore, grant: DeviceGrant, now: Instant): Promise<void> {
  if (grant.expiresAt !== undefined && grant.expiresAt <= now) throw unauthorized('the token expired');
  const device = await devices.get(grant.hub, grant.deviceId);
  if (device === undefined || device.generationId !== grant.generationId) throw deviceNotFound(grant.hub, grant.deviceId);
  if (device.status === 'disabled') throw deviceDisabled();
  if (stampOf(device) !== grant.credentialStamp) throw unauthorized('the credentials of the identity changed');
}

/** Refuses a grant that a block has come to cover since. Throws `DeviceDisabled`. */
export async function requireUnblocked(blocks: BlockLookup, { keys = [] }: DeviceGrant, at: Instant): Promise<void> {
  const { blocked } = judgeBlocks({ blocks: await blocks.matching(keys), keys, purpose: 'connect', at });
  if (blocked !== undefined) throw deviceDisabled(blocked.sentence);
}

/**
 * Differs whenever an identity accepts other credentials. A digest, so that grants, which travel through bindings and
 * logs, carry no key.
 */
export function stampOf({ authentication }: DeviceRow): string {
  const { type, primaryKey, secondaryKey, primaryThumbprint, secondaryThumbprint } = authentication;
  return createHash('sha256')
    .update(JSON.stringify([type, primaryKey, secondaryKey, primaryThumbprint, secondaryThumbprint]))
    .digest('base64');
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
