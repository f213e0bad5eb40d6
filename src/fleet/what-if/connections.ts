import type { Outlook } from '../../contracts/fleet/what-if.ts';
import { judgeDevice } from '../../hub/judge.ts';
import type { DeviceRow, HubInstance, HubTrust } from '../../hub/ports.ts';
import type { Shown } from '../../hub/shown.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Certificate } from '../../pki/certificate.ts';
import type { KnownDevice } from '../../provisioning/rehearsal/known-devices.ts';
import { hubToken } from '../own-token.ts';
import type { FleetStorage } from '../ports.ts';

/** What a hub needs to decide; blocks and CA certificates may be overlaid. */
export interface HubSide {
  readonly read: Pick<FleetStorage['read'], 'hubs' | 'devices' | 'blocks'>;
  readonly trust: HubTrust;
}

/** An identity, and what it would show; `undefined` where nobody kept that. */
export interface KnownIdentity {
  readonly hub: HubInstance;
  readonly device: DeviceRow;
  readonly shown: Shown | undefined;
}

/** What the next connection of an identity comes to, by the judge of the hub itself. */
export async function foretellConnection({ read, trust }: HubSide, clock: Clock, { hub, device, shown }: KnownIdentity): Promise<Outlook> {
  if (shown === undefined) return { kind: 'unknown', why: 'what it shows was never kept' };
  const outcome = await judgeDevice({ storage: { read }, trust, clock }, { hub: hub.name, deviceId: device.deviceId, shown });
  if (outcome.ok) return { kind: 'connects', hub: hub.hostName, deviceId: device.deviceId };
  const decided = outcome.trace.find((step) => step.outcome === 'decided');
  const { row } = outcome.refusal;
  return { kind: 'refused', hub: hub.hostName, deviceId: device.deviceId, errorCode: row.code, why: decided?.sentence ?? outcome.reason };
}

/** The identity that the last registration of a device led to, if it is still there. */
export async function identityOf(
  { hubs, devices }: Pick<FleetStorage['read'], 'hubs' | 'devices'>,
  { record, credential }: KnownDevice,
  clock: Clock,
): Promise<KnownIdentity | undefined> {
  if (record?.assignedHub === undefined || record.deviceId === undefined) return undefined;
  const host = record.assignedHub.toLowerCase();
  const hub = (await hubs.list()).find(({ hostName }) => hostName.toLowerCase() === host);
  const device = hub && (await devices.get(hub.name, record.deviceId));
  if (hub === undefined || device === undefined) return undefined;
  const [presented] = credential.shown;
  const chain = presented.kind === 'x509' ? { leaf: presented.leaf, others: presented.sent } : undefined;
  return { hub, device, shown: shownBy({ hub, device, chain }, clock) };
}

/** An identity that no registration led to shows its key, or the certificate of its thumbprint if somebody has that at hand. */
export function identityAlone(
  hub: HubInstance,
  device: DeviceRow,
  at: { readonly clock: Clock; readonly certificates: readonly Certificate[] },
): KnownIdentity {
  const { primaryThumbprint, secondaryThumbprint } = device.authentication;
  const prints = new Set([primaryThumbprint, secondaryThumbprint]);
  const leaf = at.certificates.find(({ sha1, sha256 }) => prints.has(sha1) || prints.has(sha256));
  const chain = leaf === undefined ? undefined : { leaf, others: [] };
  return { hub, device, shown: shownBy({ hub, device, chain }, at.clock) };
}

function shownBy(
  { hub, device, chain }: { readonly hub: HubInstance; readonly device: DeviceRow; readonly chain: Exclude<Shown['chain'], 'unreadable'> },
  clock: Clock,
): Shown | undefined {
  if (device.authentication.type === 'sas') return { sasToken: hubToken(device, hub, clock.now()) };
  return chain === undefined ? undefined : { chain };
}
