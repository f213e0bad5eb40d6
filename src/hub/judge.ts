import type { Block } from '../blocks/block.ts';
import { keysOf } from '../blocks/keys.ts';
import { judgeBlocks } from '../blocks/rule.ts';
import { idsOf, type IdentityPath, isIdentityPath } from '../contracts/hub/identity-path.ts';
import type { Clock, Instant } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { nameOf } from '../pki/printable.ts';
import { judgeCertificate } from './certificate-proof.ts';
import { deviceDisabled, unauthorized } from './granted.ts';
import { hubOfHost } from './host-names.ts';
import { deviceNotFound, requireHub } from './lookup.ts';
import type { DeviceRow, HubInstance, HubStorage, HubTrust } from './ports.ts';
import type { ProofRefusal, ProofVerdict } from './proof.ts';
import type { DeviceGrant } from './service.ts';
import type { Shown } from './shown.ts';
import { judgeToken } from './token-proof.ts';
import { hubBlockStep, type HubTraceStep } from './trace.ts';

export interface HubJudgeDeps {
  readonly storage: { readonly read: HubJudgeStores };
  readonly trust: HubTrust;
  readonly clock: Pick<Clock, 'now'>;
  /** Whether a session by certificate ends with it, as one by token does. */
  readonly endWithCertificate?: boolean;
}

export type HubJudgeStores = Pick<HubStorage['read'], 'hubs' | 'devices' | 'blocks'>;

/** Who wants to connect where, and what it shows. */
export interface HubInquiry {
  readonly hub: string;
  readonly deviceId: IdentityPath;
  readonly shown: Shown;
}

/** How it ends: the grant, or the refusal with its word for the log; and every reason. */
export type HubOutcome =
  | { readonly ok: true; readonly grant: DeviceGrant; readonly trace: readonly HubTraceStep[] }
  | {
      readonly ok: false;
      readonly refusal: ServiceError;
      readonly reason: ProofRefusal | 'unknown-device' | 'disabled' | 'blocked';
      /** The one that covers it, also where something else had refused it before. */
      readonly block?: Block;
      readonly trace: readonly HubTraceStep[];
    };

/** The decision whether a device may connect to a hub, with all its reasons. Registers nothing and logs nothing. */
export async function judgeDevice(deps: HubJudgeDeps, inquiry: HubInquiry): Promise<HubOutcome> {
  const { storage, clock } = deps;
  const hub = await requireHub(storage.read.hubs, inquiry.hub);
  const { deviceId, shown } = inquiry;
  const now = clock.now();
  // An id that no identity can have is not looked up; it still gets the same answer.
  const device = isIdentityPath(deviceId) ? await storage.read.devices.get(hub.name, deviceId) : undefined;
  const known = device ?? decoy(hub, deviceId, shown.sasToken === undefined);
  const proof = await judgeProof(deps, { hub, device: known, shown, now });
  // A block of a device covers its modules.
  const keys = keysOf({ deviceId: idsOf(deviceId).deviceId, ...(isRead(shown.chain) ? { certificate: shown.chain.leaf } : {}) });
  const { findings, blocked } = judgeBlocks({ blocks: await storage.read.blocks.matching(keys), keys, purpose: 'connect', at: now });
  const covering = blocked === undefined ? {} : { block: blocked.block };
  const blocks = (decides: boolean): readonly HubTraceStep[] =>
    findings.map((finding) => hubBlockStep(finding, decides && finding === blocked));

  if (device === undefined) {
    const sentence = `The hub ${hub.name} has no identity of this id.`;
    const trace = [step('identity', 'decided', { reason: 'unknown-device', sentence }), ...blocks(false)];
    const refusal = deviceNotFound(hub.name, isIdentityPath(deviceId) ? deviceId : '');
    return { ok: false, refusal, reason: 'unknown-device', ...covering, trace };
  }
  const found = step('identity', 'passed', {
    reason: 'known',
    sentence: `The hub ${hub.name} has the identity, of generation ${device.generationId}; it authenticates by ${device.authentication.type}.`,
  });
  if (!proof.ok) {
    const detail = proof.detail === undefined ? proof.reason : `${proof.reason}: ${proof.detail}`;
    const trace = [found, step('credential', 'decided', { reason: proof.reason, sentence: sentenceOf(proof, shown) }), ...blocks(false)];
    return { ok: false, refusal: unauthorized(detail), reason: proof.reason, ...covering, trace };
  }
  const proven = step('credential', 'passed', { reason: proof.method, sentence: provenSentence(proof.scope, shown) });
  // Only now: what an operator said about a device is nothing for strangers.
  if (blocked !== undefined) {
    return { ok: false, refusal: deviceDisabled(), reason: 'blocked', ...covering, trace: [found, proven, ...blocks(true)] };
  }
  if (device.status === 'disabled') {
    const why = device.statusReason === undefined ? '' : ` Reason: ${device.statusReason}.`;
    const ended = step('status', 'decided', { reason: 'disabled', sentence: `The identity is disabled.${why}` });
    return { ok: false, refusal: deviceDisabled(), reason: 'disabled', trace: [found, proven, ...blocks(false), ended] };
  }
  const open = step('status', 'decided', { reason: 'enabled', sentence: 'The identity is enabled.' });
  return { ok: true, grant: { ...grantFor(device, proof), keys }, trace: [found, proven, ...blocks(false), open] };
}

interface ProofRequest {
  readonly hub: HubInstance;
  readonly device: DeviceRow;
  readonly shown: Shown;
  readonly now: Instant;
}

/** A token, where there is one, is what the client means to be judged by; the certificate may be there for another reason. */
async function judgeProof(
  { storage, trust, endWithCertificate }: HubJudgeDeps,
  { hub, device, shown, now }: ProofRequest,
): Promise<ProofVerdict> {
  if (shown.sasToken !== undefined) {
    const [policies, hubs] = await Promise.all([storage.read.hubs.policies(hub.name), storage.read.hubs.list()]);
    const isOwnHost = (host: string): boolean => hubOfHost(hubs, host)?.name === hub.name;
    return judgeToken({ device, sasToken: shown.sasToken, policies, isOwnHost, now });
  }
  if (shown.chain === undefined) return { ok: false, reason: 'nothing-presented' };
  if (!isRead(shown.chain)) return { ok: false, reason: 'certificate-unreadable' };
  const proof = await judgeCertificate({ device, shown: shown.chain, trust, now });
  return proof.ok && endWithCertificate === true ? { ...proof, expiresAt: shown.chain.leaf.notAfter } : proof;
}

function isRead(chain: Shown['chain']): chain is Exclude<Shown['chain'], 'unreadable' | undefined> {
  return chain !== undefined && chain !== 'unreadable';
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
    credentialStamps: proof.stamps,
    ...(proof.expiresAt === undefined ? {} : { expiresAt: proof.expiresAt }),
  };
}

function step(
  subject: HubTraceStep['subject'],
  outcome: HubTraceStep['outcome'],
  words: Pick<HubTraceStep, 'reason' | 'sentence'>,
): HubTraceStep {
  return { subject, outcome, ...words };
}

/** For operators: what was wrong with the credential. */
const refusalSentences: Readonly<Record<ProofRefusal, string>> = {
  'nothing-presented': 'Neither a token nor a certificate was presented.',
  'token-malformed': 'The token is no shared access signature.',
  'token-expired': 'The token has expired.',
  'token-resource': 'The token is for another resource.',
  'token-policy': 'The token names a policy that the hub does not have.',
  'token-right': 'The policy of the token may not connect devices.',
  'token-signature': 'The signature of the token was made with another key.',
  'token-not-accepted': 'The identity does not authenticate by tokens.',
  'certificate-unreadable': 'The certificate cannot be read.',
  'certificate-not-accepted': 'The identity does not authenticate by certificates.',
  'certificate-not-yet-valid': 'The certificate is not valid yet.',
  'certificate-expired': 'The certificate has expired.',
  thumbprint: 'The identity names another certificate.',
  'common-name': 'The common name of the certificate is not the device id.',
  chain: 'The certificate is not trusted.',
};

function sentenceOf(proof: Extract<ProofVerdict, { ok: false }>, { chain }: Shown): string {
  const which = isRead(chain) ? ` It was the ${nameOf(chain.leaf)}.` : '';
  const detail = proof.detail === undefined ? '' : ` (${proof.detail})`;
  return `${refusalSentences[proof.reason]}${which}${detail}`;
}

function provenSentence(scope: 'device' | 'hub', { sasToken, chain }: Shown): string {
  if (sasToken !== undefined) return scope === 'hub' ? 'The token of a policy is good.' : 'The token of the device is good.';
  return isRead(chain) ? `The identity accepts the ${nameOf(chain.leaf)}.` : 'The credential is good.';
}
