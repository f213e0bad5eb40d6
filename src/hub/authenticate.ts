import { deviceIdPattern } from '../contracts/hub/device-body.ts';
import type { Clock, Instant } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { judgeCertificate } from './certificate-proof.ts';
import { deviceDisabled, stampOf, unauthorized } from './granted.ts';
import { hubOfHost } from './host-names.ts';
import { deviceNotFound, requireHub } from './lookup.ts';
import type { DeviceRow, HubInstance, HubStorage, HubTrust } from './ports.ts';
import type { ProofRefusal, ProofVerdict } from './proof.ts';
import type { DeviceGrant, DevicePlane } from './service.ts';
import { judgeToken } from './token-proof.ts';

interface AuthenticateDeps {
  readonly storage: HubStorage;
  readonly trust: HubTrust;
  readonly clock: Clock;
  readonly log: Logger;
}

type AuthenticationRequest = Parameters<DevicePlane['authenticate']>[0];

/** How it ended: the grant, or the refusal to throw with its word for the log. */
type Outcome =
  | { readonly grant: DeviceGrant }
  | { readonly refusal: ServiceError; readonly reason: ProofRefusal | 'unknown-device' | 'disabled' };

/** Judges what a device presented against its committed identity, and writes one event about it. */
export function createAuthenticate(deps: AuthenticateDeps): DevicePlane['authenticate'] {
  return async (request) => {
    const outcome = await judge(deps, request);
    report(deps.log, request, outcome);
    if ('refusal' in outcome) throw outcome.refusal;
    return outcome.grant;
  };
}

async function judge(deps: AuthenticateDeps, request: AuthenticationRequest): Promise<Outcome> {
  const hub = await requireHub(deps.storage.read.hubs, request.hub);
  const { deviceId, credentials } = request;
  // An id that no identity can have is not looked up; it still gets the same answer.
  const device = deviceIdPattern.test(deviceId) ? await deps.storage.read.devices.get(hub.name, deviceId) : undefined;
  const known = device ?? decoy(hub, deviceId, credentials.sasToken === undefined);
  const proof = await judgeProof(deps, { ...request, hub, device: known, now: deps.clock.now() });
  if (device === undefined)
    return { refusal: deviceNotFound(hub.name, deviceIdPattern.test(deviceId) ? deviceId : ''), reason: 'unknown-device' };
  if (!proof.ok)
    return { refusal: unauthorized(proof.detail === undefined ? proof.reason : `${proof.reason}: ${proof.detail}`), reason: proof.reason };
  // Only now: the status of an identity is nothing for strangers.
  if (device.status === 'disabled') return { refusal: deviceDisabled(), reason: 'disabled' };
  return { grant: grantFor(device, proof) };
}

interface ProofRequest extends Omit<AuthenticationRequest, 'hub'> {
  readonly hub: HubInstance;
  readonly device: DeviceRow;
  readonly now: Instant;
}

/** A token, where there is one, is what the client means to be judged by; the certificate may be there for another reason. */
async function judgeProof({ storage, trust }: AuthenticateDeps, request: ProofRequest): Promise<ProofVerdict> {
  const { hub, device, credentials, now } = request;
  if (credentials.sasToken !== undefined && credentials.sasToken !== '') {
    const [policies, hubs] = await Promise.all([storage.read.hubs.policies(hub.name), storage.read.hubs.list()]);
    const isOwnHost = (host: string): boolean => hubOfHost(hubs, host)?.name === hub.name;
    return judgeToken({ device, sasToken: credentials.sasToken, policies, isOwnHost, now });
  }
  if (credentials.certificates.length === 0) return { ok: false, reason: 'nothing-presented' };
  return judgeCertificate({ device, certificates: credentials.certificates, trust, now });
}

/** Stands for an identity that does not exist, so that the same work is done before it is missed. It accepts nothing. */
function decoy(hub: HubInstance, deviceId: string, byCertificate: boolean): DeviceRow {
  const key = Buffer.alloc(32).toString('base64');
  return {
    hub: hub.name,
    deviceId,
    generationId: '0',
    etagCounter: 0,
    status: 'disabled',
    authentication: byCertificate
      ? { type: 'selfSigned', primaryThumbprint: '0'.repeat(64) }
      : { type: 'sas', primaryKey: key, secondaryKey: key },
    iotEdge: false,
    createdAt: hub.createdAt,
  };
}

function grantFor(device: DeviceRow, proof: Extract<ProofVerdict, { ok: true }>): DeviceGrant {
  return {
    hub: device.hub,
    deviceId: device.deviceId,
    generationId: device.generationId,
    method: proof.method,
    scope: proof.scope,
    credentialStamp: stampOf(device),
    ...(proof.expiresAt === undefined ? {} : { expiresAt: proof.expiresAt }),
  };
}

function report(log: Logger, { hub, deviceId, peer }: AuthenticationRequest, outcome: Outcome): void {
  const who = { hub, deviceId: deviceId.slice(0, 128), transport: peer.transport, remoteAddress: peer.remoteAddress };
  if ('grant' in outcome) {
    const { method, scope } = outcome.grant;
    log.info('device.authenticate', { ...who, outcome: 'accepted', method, scope });
    return;
  }
  const { refusal, reason } = outcome;
  log.info('device.authenticate', { ...who, outcome: 'refused', reason, error: refusal.error, detail: refusal.detail });
}
