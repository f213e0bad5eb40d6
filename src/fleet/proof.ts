import { createHash } from 'node:crypto';

import { transportNames } from '../contracts/transport.ts';
import type { DeviceRow, HubInstance } from '../hub/ports.ts';
import type { Hub } from '../hub/service.ts';
import type { Shown } from '../hub/shown.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { Verdict } from '../provisioning/admission.ts';
import type { ProvisioningInstance } from '../provisioning/ports.ts';
import type { Provisioning } from '../provisioning/service.ts';
import { findDevice, type FoundDevice } from './found-device.ts';
import { hubToken } from './own-token.ts';
import { registrationToken } from '../provisioning/rehearsal/own-token.ts';
import type { FleetStorage } from './ports.ts';
import type { Door } from '../contracts/fleet/receipt.ts';
import type { WireWords } from '../contracts/fleet/explanation.ts';
import { hubWords, provisioningWords } from './wire-words.ts';

/** Tries every door for a device, with the credentials that it has and those that it could get. */
export type Proof = (asked: string) => Promise<readonly Door[]>;

export interface ProofDeps {
  readonly storage: FleetStorage;
  readonly provisioning: Pick<Provisioning, 'inquire'>;
  readonly hub: Pick<Hub, 'judge'>;
  readonly clock: Clock;
}

/** By asking the decision itself, door by door; the transports of a door share it and differ in their words. */
export function createProof(deps: ProofDeps): Proof {
  return async (asked) => {
    const { read } = deps.storage;
    const device = await findDevice(read, asked);
    const doors: Door[] = [];
    for (const instance of await read.instances.list()) {
      for (const registrationId of device.registrationIds) {
        doors.push(...(await provisioningDoors(deps, device, { instance, registrationId })));
      }
    }
    for (const hub of await read.hubs.list()) {
      for (const deviceId of device.deviceIds) {
        doors.push(...(await hubDoors(deps, device, { hub, deviceId })));
        // A device that is disabled keeps its modules, each with a credential of its own.
        for (const module of await read.devices.modulesOf(hub.name, deviceId)) doors.push(...(await moduleDoors(deps, hub, module)));
      }
    }
    return doors;
  };
}

interface Trial {
  readonly credential: string;
  readonly leaf?: Certificate;
}

/** What the device has, and what its CA, or whoever took it over, could make of it. */
function trialsOf({ chain }: FoundDevice): readonly Trial[] {
  if (chain === undefined) return [{ credential: 'any' }];
  return [
    { credential: 'its certificate', leaf: chain.leaf },
    { credential: 'renewed, same key', leaf: reissued(chain.leaf) },
    { credential: 'renewed, new key', leaf: { ...reissued(chain.leaf), publicKeySha256: differing(chain.leaf.publicKeySha256) } },
  ];
}

/**
 * Stands for a certificate that the same CA would issue to the same name: another serial number, so another thumbprint.
 * The decision reads these; the signature that it verifies is the one of the original.
 */
function reissued(leaf: Certificate): Certificate {
  return {
    ...leaf,
    serialNumber: differing(leaf.serialNumber).slice(0, 32),
    sha1: differing(leaf.sha1).slice(0, 40),
    sha256: differing(leaf.sha256),
    tbsSha256: differing(leaf.tbsSha256),
  };
}

function differing(text: string): string {
  return createHash('sha256').update(`re-issued ${text}`).digest('hex').toUpperCase();
}

async function provisioningDoors(
  { provisioning, storage, clock }: ProofDeps,
  device: FoundDevice,
  { instance, registrationId }: { readonly instance: ProvisioningInstance; readonly registrationId: string },
): Promise<readonly Door[]> {
  const doors: Door[] = [];
  const { token, isOwn } = await registrationToken(storage.read, { instance, registrationId, at: clock.now() });
  for (const trial of trialsOf(device)) {
    const { leaf } = trial;
    const presented =
      leaf === undefined ? ({ kind: 'sas', token } as const) : ({ kind: 'x509', leaf, sent: device.chain?.others ?? [] } as const);
    const credential = leaf === undefined && isOwn ? 'its key' : trial.credential;
    const { verdict } = await provisioning.inquire({ instance, registrationId, presented, purpose: 'register' });
    const why = verdict.trace.findLast(({ outcome }) => outcome === 'decided')?.sentence ?? '';
    // What is let in or not without a credential cannot be told, unless an entry or a block refuses it whatever it is.
    const isOpen = leaf === undefined && !isOwn && verdict.kind !== 'disabled';
    const opinion = isOpen ? 'unknown' : verdict.kind === 'admit' ? 'let-in' : 'refused';
    const words = provisioningWords(answerOf(verdict));
    doors.push(
      ...everyTransport({ side: 'provisioning', name: instance.name, credential, verdict: opinion, why, evaluated: 'decision' }, words),
    );
  }
  return doors;
}

/** What the wire says about a verdict. */
export function answerOf(verdict: Verdict): Parameters<typeof provisioningWords>[0] {
  if (verdict.kind === 'refuse') return { error: verdict.error };
  if (verdict.kind === 'challenge') throw new Error('nothing was asked with the public keys of a TPM alone');
  return { status: verdict.kind === 'admit' ? 'assigned' : 'disabled' };
}

async function hubDoors(
  { hub: judge, storage, clock }: ProofDeps,
  device: FoundDevice,
  { hub, deviceId }: { readonly hub: HubInstance; readonly deviceId: string },
): Promise<readonly Door[]> {
  const identity = await storage.read.devices.get(hub.name, deviceId);
  const trials: readonly (Trial & { readonly shown: Shown })[] =
    identity?.authentication.type === 'sas'
      ? [{ credential: 'its key', shown: { sasToken: hubToken(identity, hub, clock.now()) } }]
      : trialsOf(device).map((trial) => ({ ...trial, shown: shownOf(trial, device) }));
  const doors: Door[] = [];
  for (const { credential, shown } of trials) {
    const outcome = await judge.judge({ hub: hub.name, deviceId, shown });
    const why = outcome.trace.findLast(({ outcome: how }) => how === 'decided')?.sentence ?? '';
    const blind = credential === 'any' && identity !== undefined && !outcome.ok;
    const verdict = blind ? 'unknown' : outcome.ok ? 'let-in' : 'refused';
    const words = hubWords(outcome.ok ? undefined : outcome.refusal.error);
    doors.push(...everyTransport({ side: 'hub', name: hub.name, credential, verdict, why, evaluated: 'decision' }, words));
  }
  return doors;
}

async function moduleDoors({ hub: judge, clock }: ProofDeps, hub: HubInstance, module: DeviceRow): Promise<readonly Door[]> {
  const byKey = module.authentication.type === 'sas';
  const shown = byKey ? { sasToken: hubToken(module, hub, clock.now()) } : {};
  const outcome = await judge.judge({ hub: hub.name, deviceId: module.deviceId, shown });
  const why = outcome.trace.findLast(({ outcome: how }) => how === 'decided')?.sentence ?? '';
  const verdict = outcome.ok ? 'let-in' : byKey ? 'refused' : 'unknown';
  const credential = byKey ? `the key of ${module.deviceId}` : `any of ${module.deviceId}`;
  const words = hubWords(outcome.ok ? undefined : outcome.refusal.error);
  return everyTransport({ side: 'hub', name: hub.name, credential, verdict, why, evaluated: 'decision' }, words);
}

function shownOf({ leaf }: Trial, { chain }: FoundDevice): Shown {
  return leaf === undefined ? {} : { chain: { leaf, others: chain?.others ?? [] } };
}

function everyTransport(door: Omit<Door, 'transport' | 'says'>, words: WireWords): readonly Door[] {
  return transportNames.map((transport) => ({ ...door, transport, says: words[transport] }));
}
