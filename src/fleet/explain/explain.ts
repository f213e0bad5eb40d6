import type { IdentityPath } from '../../contracts/hub/identity-path.ts';
import type { HubInstance, SessionBus } from '../../hub/ports.ts';
import type { Hub } from '../../hub/service.ts';
import type { Shown } from '../../hub/shown.ts';
import type { Clock } from '../../kernel/clock.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { ProvisioningInstance } from '../../provisioning/ports.ts';
import type { Inquired, Inquiry } from '../../provisioning/judge.ts';
import { findDevice, type FoundDevice, isKnownDevice, summarise } from '../found-device.ts';
import type { FleetStorage } from '../ports.ts';
import { hubToken } from '../own-token.ts';
import { registrationToken } from '../../provisioning/rehearsal/own-token.ts';
import { answerOf } from '../proof.ts';
import { isoTime } from '../iso-time.ts';
import type { ExplainRequest } from '../service.ts';
import { hubWords, provisioningWords } from '../wire-words.ts';
import { drawChain } from './chain.ts';
import type { Decision, Explanation, TraceLine } from '../../contracts/fleet/explanation.ts';
import { findKept } from './kept.ts';
import { remediesFor } from './remedies.ts';

export interface ExplainDeps {
  readonly storage: { readonly read: FleetStorage['read'] };
  readonly provisioning: { inquire(inquiry: Inquiry): Promise<Pick<Inquired, 'verdict' | 'question'>> };
  readonly hub: Pick<Hub, 'judge'>;
  readonly bus: Pick<SessionBus, 'isConnected'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** Says why, by asking the decision itself, or by what was kept of it under a tracking or operation id. */
export function createExplain(deps: ExplainDeps): (request: ExplainRequest) => Promise<Explanation> {
  return async (request) => {
    const at = isoTime(deps.clock.now());
    const asked = request.subject.trim();
    const kept = await findKept(deps.storage.read, asked);
    if (kept !== undefined) {
      return { asked, at, kind: kept.operationId === asked ? 'operation id' : 'tracking id', decisions: [], kept };
    }
    return await explainDevice(deps, await findDevice(deps.storage.read, asked), request);
  };
}

/** What every door decides about a device, as the stores stand. Throws `ResourceNotFound` where nothing is known of it. */
export async function explainDevice(deps: ExplainDeps, device: FoundDevice, request: ExplainRequest): Promise<Explanation> {
  const asked = request.subject.trim();
  const isCertificate = device.chain?.source === 'given';
  const decisions = [...(await provisioningDecisions(deps, device, request)), ...(await hubDecisions(deps, device))];
  if (!isCertificate && !isKnownDevice(device) && decisions.every(({ verdict }) => verdict !== 'disabled')) throw unknown(asked, request);
  return {
    asked: isCertificate ? device.name : asked,
    at: isoTime(deps.clock.now()),
    kind: isCertificate ? 'certificate' : 'device',
    found: summarise(device, deps.bus),
    decisions,
  };
}

async function provisioningDecisions(
  deps: ExplainDeps,
  device: FoundDevice,
  { instance: wanted, registrationId: given }: ExplainRequest,
): Promise<readonly Decision[]> {
  const decisions: Decision[] = [];
  const ids = given === undefined ? device.registrationIds : [given];
  for (const instance of await deps.storage.read.instances.list()) {
    if (wanted !== undefined && wanted.toLowerCase() !== instance.name.toLowerCase()) continue;
    for (const registrationId of ids) decisions.push(await askProvisioning(deps, device, { instance, registrationId }));
  }
  return decisions;
}

async function askProvisioning(
  { provisioning, storage, clock }: ExplainDeps,
  { chain }: FoundDevice,
  { instance, registrationId }: { readonly instance: ProvisioningInstance; readonly registrationId: string },
): Promise<Decision> {
  const { token, isOwn } = await registrationToken(storage.read, { instance, registrationId, at: clock.now() });
  const presented =
    chain === undefined ? ({ kind: 'sas', token } as const) : ({ kind: 'x509', leaf: chain.leaf, sent: chain.others } as const);
  const { verdict, question } = await provisioning.inquire({ instance, registrationId, presented, purpose: 'register' });
  const drawn = drawChain(question);
  const trace = verdict.trace.map(line);
  const head = { side: 'provisioning', name: instance.name, id: registrationId, trace } as const;
  if (chain === undefined && !isOwn && verdict.kind !== 'disabled') {
    const remedy = 'Give the certificate of the device (--certificate), or the tracking id that it logged.';
    return { ...head, verdict: 'unknown', basis: 'no certificate of it is known', remedies: [remedy] };
  }
  return {
    ...head,
    verdict: verdict.kind === 'admit' ? 'let-in' : verdict.kind === 'disabled' ? 'disabled' : 'refused',
    basis: `${basisFor(chain, isOwn)}${leftOut(instance)}`,
    ...(drawn === undefined ? {} : { chain: drawn }),
    says: provisioningWords(answerOf(verdict)),
    remedies: verdict.kind === 'admit' ? [] : remediesFor(trace),
  };
}

function basisFor(chain: FoundDevice['chain'], isOwn: boolean): string {
  if (chain !== undefined) return `the certificate ${basisOf(chain.source)}`;
  return isOwn ? 'a token signed with its key' : 'its id alone';
}

async function hubDecisions(deps: ExplainDeps, device: FoundDevice): Promise<readonly Decision[]> {
  const homes = new Set([
    ...device.identities.map(({ hub }) => hub.name.toLowerCase()),
    ...device.records.flatMap(({ assignedHub }) => assignedHub?.toLowerCase() ?? []),
  ]);
  const decisions: Decision[] = [];
  for (const hub of await deps.storage.read.hubs.list()) {
    if (!homes.has(hub.name.toLowerCase()) && !homes.has(hub.hostName.toLowerCase())) continue;
    for (const deviceId of deviceIdsAt(device, hub)) {
      decisions.push(await askHub(deps, device, { hub, deviceId }));
      const modules = await deps.storage.read.devices.modulesOf(hub.name, deviceId);
      const identities = modules.map((module) => ({ hub, device: module }));
      for (const module of modules) {
        decisions.push(await askHub(deps, { identities }, { hub, deviceId: module.deviceId }));
      }
    }
  }
  return decisions;
}

/** The ids that it has, or was assigned, there. */
function deviceIdsAt({ identities, records }: FoundDevice, hub: HubInstance): readonly string[] {
  const own = identities.filter((identity) => identity.hub.name === hub.name).map(({ device }) => device.deviceId);
  const assigned = records
    .filter(({ assignedHub }) => assignedHub?.toLowerCase() === hub.hostName.toLowerCase())
    .flatMap(({ deviceId }) => deviceId ?? []);
  return [...new Set([...own, ...assigned])];
}

async function askHub(
  { hub: judge, clock }: ExplainDeps,
  { chain, identities }: Pick<FoundDevice, 'chain' | 'identities'>,
  { hub, deviceId }: { readonly hub: HubInstance; readonly deviceId: IdentityPath },
): Promise<Decision> {
  const identity = identities.find((found) => found.hub.name === hub.name && found.device.deviceId === deviceId)?.device;
  const byKey = identity?.authentication.type === 'sas';
  const shown: Shown = byKey
    ? { sasToken: hubToken(identity, hub, clock.now()) }
    : chain === undefined
      ? {}
      : { chain: { leaf: chain.leaf, others: chain.others } };
  const outcome = await judge.judge({ hub: hub.name, deviceId, shown });
  const trace = outcome.trace.map(line);
  const head = { side: 'hub', name: hub.name, id: deviceId, trace } as const;
  if (!byKey && chain === undefined && identity !== undefined) {
    return { ...head, verdict: 'unknown', basis: 'no certificate of it is known', remedies: ['Give the certificate of the device.'] };
  }
  return {
    ...head,
    verdict: outcome.ok ? 'let-in' : 'refused',
    basis: byKey ? 'its own key' : chain === undefined ? 'its id alone' : `the certificate ${basisOf(chain.source)}`,
    says: hubWords(outcome.ok ? undefined : outcome.refusal.error),
    remedies: outcome.ok ? [] : remediesFor(trace),
  };
}

const sourceNames = {
  given: 'that was given',
  'last registration': 'of its last registration',
  'individual enrollment': 'of its individual enrollment',
} as const;

/** Nobody knows from where the device will come. */
function leftOut({ ipFilterRules }: ProvisioningInstance): string {
  return ipFilterRules.length === 0 ? '' : '; the IP filter is left out, since its address is not known';
}

const basisOf = (source: keyof typeof sourceNames): string => sourceNames[source];

function line({ subject, outcome, reason, sentence }: TraceLine): TraceLine {
  return { subject, outcome, reason, sentence };
}

function unknown(asked: string, { asOf }: Pick<ExplainRequest, 'asOf'>): ServiceError {
  const named = asked.slice(0, 128);
  const detail =
    asOf === undefined
      ? `Nothing is known of ${named}: it is no device, registration, thumbprint, tracking id or operation id here.`
      : `Nothing was known of ${named} at ${isoTime(asOf)}: then it was no device, registration or thumbprint here. Ask about a later time.`;
  return new ServiceError('ResourceNotFound', detail);
}
