import { createHash } from 'node:crypto';
import type { DeviceRow, HubPolicyRow } from './ports.ts';

/*
 * A stamp stands for one credential that a hub accepts: a key of a device, a thumbprint, a key of a policy. Sessions carry the
 * stamps of what they were let in by, so that a change ends those alone whose credential is gone. A digest, so that grants,
 * which travel through bindings and logs, carry no key.
 */

/** Of a key of the device itself. */
export const keyStamp = (device: Pick<DeviceRow, 'hub' | 'deviceId'>, key: string): string => stamp(device, 'key', key);

/** Of a certificate by its thumbprint, in upper case. */
export const thumbprintStamp = (device: Pick<DeviceRow, 'hub' | 'deviceId'>, thumbprint: string): string =>
  stamp(device, 'thumbprint', thumbprint);

/** Of any certificate that the trusted authorities vouch for. */
export const authorityStamp = (device: Pick<DeviceRow, 'hub' | 'deviceId'>): string => stamp(device, 'certificateAuthority', '');

export const policyStamp = (hub: string, keyName: string, key: string): string =>
  digest([hub.toLowerCase(), 'policy', keyName.toLowerCase(), key]);

/** Everything of its own that an identity accepts. */
export function acceptedStamps(device: DeviceRow): readonly string[] {
  const { type, primaryKey, secondaryKey, primaryThumbprint, secondaryThumbprint } = device.authentication;
  if (type === 'certificateAuthority') return [authorityStamp(device)];
  return [
    ...[primaryKey, secondaryKey].filter((key) => key !== undefined).map((key) => keyStamp(device, key)),
    ...[primaryThumbprint, secondaryThumbprint]
      .filter((thumbprint) => thumbprint !== undefined)
      .map((thumbprint) => thumbprintStamp(device, thumbprint)),
  ];
}

/** Of every key of a policy. */
export const stampsOfPolicy = (hub: string, { keyName, primaryKey, secondaryKey }: HubPolicyRow): readonly string[] =>
  [primaryKey, secondaryKey].map((key) => policyStamp(hub, keyName, key));

/** Of the keys that connect any device of the hub. */
export function connectingStamps(hub: string, policies: readonly HubPolicyRow[]): readonly string[] {
  return policies.filter(({ rights }) => rights.includes('DeviceConnect')).flatMap((policy) => stampsOfPolicy(hub, policy));
}

/** How the bus knows a session by its stamps. */
export const busKeys = (stamps: readonly string[]): readonly string[] => stamps.map((one) => `credential:${one}`);

function stamp({ hub, deviceId }: Pick<DeviceRow, 'hub' | 'deviceId'>, kind: string, value: string): string {
  return digest([hub.toLowerCase(), 'device', deviceId, kind, value]);
}

const digest = (parts: readonly string[]): string => createHash('sha256').update(JSON.stringify(parts)).digest('base64');
