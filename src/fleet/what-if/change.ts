import { assertNever } from '../../kernel/assert-never.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Precondition } from '../../kernel/precondition.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { Stage } from './stage.ts';

/** A change to one provisioning service; `instance` names it. */
export type EntryChange =
  | { readonly kind: 'enrollment' | 'group'; readonly action: 'put'; readonly id: string; readonly body: JsonObject }
  | { readonly kind: 'enrollment' | 'group'; readonly action: 'enable' | 'disable' | 'delete'; readonly id: string }
  | {
      readonly kind: 'certificate';
      readonly action: 'put';
      readonly name: string;
      /** In any upload form. */
      readonly certificate: string;
      readonly isVerified: boolean;
    }
  | { readonly kind: 'certificate'; readonly action: 'verify' | 'delete'; readonly name: string }
  | {
      readonly kind: 'hub';
      readonly action: 'link';
      readonly hostName: string;
      readonly location: string;
      readonly applyAllocationPolicy: boolean;
      readonly allocationWeight: number;
    }
  | { readonly kind: 'hub'; readonly action: 'unlink'; readonly hostName: string };

/** A change to blocks, which hold for every provisioning service and hub. */
export type BlockedChange =
  | {
      readonly kind: 'list';
      /** PEM certificates, a PEM revocation list, or lines of thumbprints and `SERIAL ISSUER`. */
      readonly text?: string | undefined;
      /** A revocation list or a certificate in DER. */
      readonly der?: Uint8Array | undefined;
    }
  | { readonly kind: 'block'; readonly action: 'lift'; readonly id: string };

export type Change = (EntryChange & { readonly instance?: string | undefined }) | BlockedChange;

export function isEntryChange(change: Change): change is EntryChange & { readonly instance?: string | undefined } {
  return change.kind !== 'list' && change.kind !== 'block';
}

/** Whether hubs take notice of it: they know blocks, and the CA certificates of the services that they are linked to. */
export function reachesHubs(change: Change): boolean {
  return change.kind !== 'enrollment' && change.kind !== 'group';
}

const any: Precondition = { kind: 'any' };

/** Makes the change on the stage, by the very code that makes it for real. Throws as that does. */
export async function applyEntryChange(stage: Stage, instance: string, change: EntryChange): Promise<void> {
  switch (change.kind) {
    case 'enrollment':
    case 'group':
      return await changeEntry(stage, instance, change);
    case 'certificate':
      return await changeCertificate(stage, instance, change);
    case 'hub': {
      const { instances } = stage.rehearsal.administration;
      if (change.action === 'unlink') await instances.unlinkHub(instance, change.hostName);
      else {
        const { hostName, location, applyAllocationPolicy, allocationWeight } = change;
        await instances.linkHub(instance, { hostName, location, applyAllocationPolicy, allocationWeight });
      }
      return;
    }
    default:
      return assertNever(change);
  }
}

async function changeEntry(
  { rehearsal: { administration }, transaction: { enrollments } }: Stage,
  instance: string,
  change: Extract<EntryChange, { kind: 'enrollment' | 'group' }>,
): Promise<void> {
  const kind = change.kind === 'group' ? 'group' : 'individual';
  const entries = kind === 'group' ? administration.enrollmentGroups : administration.individualEnrollments;
  const { id, action } = change;
  const current = await enrollments.get(kind, instance, id);
  if (action === 'put') {
    await entries.put(instance, id, { body: change.body, precondition: current === undefined ? { kind: 'absent' } : any });
    return;
  }
  if (current === undefined) {
    const what = kind === 'group' ? 'enrollment group' : 'individual enrollment';
    throw new ServiceError('DpsEnrollmentNotFound', `There is no ${what} '${id}' at ${instance}.`);
  }
  if (action === 'delete') return await entries.delete(instance, id, any);
  await enrollments.replace({ ...current, provisioningStatus: action === 'enable' ? 'enabled' : 'disabled' }, undefined);
}

async function changeCertificate(
  { rehearsal: { administration }, transaction }: Stage,
  instance: string,
  change: Extract<EntryChange, { kind: 'certificate' }>,
): Promise<void> {
  const { caCertificates } = administration;
  const { name } = change;
  // Whether it may be done without being asked is another question than what would come of it.
  const force = true;
  if (change.action === 'delete') return await caCertificates.delete(instance, name, { precondition: any, force });
  if (change.action === 'put') {
    const { certificate, isVerified } = change;
    const isThere = (await transaction.caCertificates.get(instance, name)) !== undefined;
    await caCertificates.put(instance, name, { certificate, isVerified, precondition: isThere ? any : { kind: 'absent' }, force });
    return;
  }
  // What a proof of possession leads to; to give one, the change has to be made.
  const { properties } = await caCertificates.get(instance, name);
  await caCertificates.put(instance, name, { certificate: properties.certificate, isVerified: true, precondition: any, force });
}

/** The change in a sentence. */
export function describeChange(change: Change): string {
  switch (change.kind) {
    case 'enrollment':
    case 'group': {
      const what = change.kind === 'group' ? 'enrollment group' : 'individual enrollment';
      const verb = { put: 'written', enable: 'enabled', disable: 'disabled', delete: 'deleted' }[change.action];
      return `The ${what} ${change.id} is ${verb}.`;
    }
    case 'certificate': {
      const verb = { put: 'uploaded', verify: 'verified', delete: 'deleted' }[change.action];
      return `The CA certificate ${change.name} is ${verb}.`;
    }
    case 'hub':
      return change.action === 'unlink'
        ? `The hub ${change.hostName} is unlinked.`
        : `The hub ${change.hostName} is linked with weight ${change.allocationWeight}${change.applyAllocationPolicy ? '' : ', outside of the allocation policy'}.`;
    case 'list':
      return 'The certificates of the list are blocked.';
    case 'block':
      return `Block ${change.id} is lifted.`;
    default:
      return assertNever(change);
  }
}
