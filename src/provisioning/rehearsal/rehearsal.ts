import type { ErrorName } from '../../kernel/error-table.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { Block } from '../../blocks/block.ts';
import type { Verdict } from '../admission.ts';
import type { Regions } from '../allocation/regions.ts';
import { type AdmittedDevice, deviceIdFor, hubRefused, HubRefusal, planAllocation } from '../assign-device.ts';
import { hubCredential } from '../hub-credential.ts';
import { createInquire, type Inquired, type Inquiry, type JudgeDependencies } from '../judge.ts';
import type { EnrollmentRow, ProvisioningTransaction } from '../ports.ts';
import type { ProvisioningAdministration } from '../service.ts';
import { type CertificateCache, createTrustReader } from '../trust-material.ts';

/** What a registration would come to. */
export type Foreseen =
  | {
      readonly kind: 'assigned';
      readonly entry: EnrollmentRow;
      readonly hubHostName: string;
      readonly deviceId: string;
      /** It may be another hub, by where the device calls from. */
      readonly dependsOnAddress: boolean;
    }
  /** The webhook of its enrollment chooses the hub, and is not asked about what did not happen. */
  | { readonly kind: 'webhook'; readonly entry: EnrollmentRow; readonly webhookUrl: string }
  /** Let in, but no hub takes it. */
  | { readonly kind: 'failed'; readonly entry: EnrollmentRow; readonly errorCode: number; readonly why: string }
  | { readonly kind: 'disabled'; readonly entry?: EnrollmentRow; readonly block?: Block; readonly authenticated: boolean }
  /** Its TPM has to prove itself first. */
  | { readonly kind: 'challenge'; readonly entry: EnrollmentRow }
  | { readonly kind: 'refused'; readonly error: ErrorName; readonly why: string };

/** One answer, and the decision behind it. */
export interface Foretold extends Pick<Inquired, 'verdict' | 'question'> {
  readonly outcome: Foreseen;
}

/**
 * The domain inside one transaction, which is to be rolled back: the same code makes a change, and the same code decides by
 * it, so nothing here knows a rule of its own.
 */
export interface Rehearsal {
  /** Makes changes in the transaction. */
  readonly administration: ProvisioningAdministration;
  /** What a registration with these credentials would come to, as the transaction stands. */
  foretell(inquiry: Omit<Inquiry, 'purpose' | 'remoteAddress'>): Promise<Foretold>;
}

export interface RehearsalSettings extends Omit<JudgeDependencies, 'trust'> {
  readonly regions: Regions;
  /** The administration whose every write goes into this transaction. */
  readonly administer: (transaction: ProvisioningTransaction) => ProvisioningAdministration;
}

/** What a rehearsal is over. */
export interface RehearsalGround {
  readonly transaction: ProvisioningTransaction;
  /** Shared by rehearsals that follow each other, so that each signature is verified once. */
  readonly certificates?: CertificateCache;
}

export function createRehearsal(settings: RehearsalSettings, { transaction, certificates }: RehearsalGround): Rehearsal {
  // Trust of its own: what is rolled back is of no use to others.
  const inquire = createInquire({ ...settings, trust: createTrustReader(certificates) });
  return {
    administration: settings.administer(transaction),
    async foretell(inquiry) {
      const { verdict, question } = await inquire(transaction, { ...inquiry, purpose: 'register' });
      return { verdict, question, outcome: await outcomeOf({ transaction, regions: settings.regions }, inquiry, verdict) };
    },
  };
}

interface OutcomeDeps {
  readonly transaction: ProvisioningTransaction;
  readonly regions: Regions;
}

async function outcomeOf(
  deps: OutcomeDeps,
  { instance, registrationId: asked }: Pick<Inquiry, 'instance' | 'registrationId'>,
  verdict: Verdict,
): Promise<Foreseen> {
  if (verdict.kind === 'refuse') return { kind: 'refused', error: verdict.error, why: verdict.detail };
  if (verdict.kind === 'challenge') return { kind: 'challenge', entry: verdict.entry };
  if (verdict.kind === 'disabled') {
    const { entry, block, authenticated } = verdict;
    return { kind: 'disabled', authenticated, ...(entry === undefined ? {} : { entry }), ...(block === undefined ? {} : { block }) };
  }
  const previous = await deps.transaction.registrations.get(instance.name, asked);
  const { entry, proof } = verdict;
  const registrationId = previous?.registrationId ?? asked;
  const credential = hubCredential(proof);
  return await assignmentOf(deps, { instance, entry, registrationId, credential, previous, remoteAddress: undefined });
}

async function assignmentOf({ transaction, regions }: OutcomeDeps, device: AdmittedDevice): Promise<Foreseen> {
  const { entry } = device;
  const allocation = await planAllocation(transaction, device, regions);
  if ('ask' in allocation) return { kind: 'webhook', entry, webhookUrl: allocation.ask.webhookUrl };
  if (!allocation.ok) return { kind: 'failed', entry, errorCode: allocation.errorCode, why: allocation.note };
  const { hubHostName, dependsOnAddress = false } = allocation;
  const deviceId = deviceIdFor(device);
  const refusal = await refusalOf(transaction, hubHostName, deviceId);
  if (refusal === undefined) return { kind: 'assigned', entry, hubHostName, deviceId, dependsOnAddress };
  const refused = hubRefused(new HubRefusal(refusal));
  if (refused.ok) throw new Error('a hub that refused has taken the device');
  return { kind: 'failed', entry, errorCode: refused.errorCode, why: refused.note };
}

/** A link may name a hub that is not there any more. */
async function refusalOf(
  { hubs }: Pick<ProvisioningTransaction, 'hubs'>,
  hubHostName: string,
  deviceId: string,
): Promise<ServiceError | undefined> {
  try {
    await hubs.has(hubHostName, deviceId);
    return undefined;
  } catch (error) {
    if (error instanceof ServiceError && !error.row.retryable) return error;
    throw error;
  }
}
