import type { Block, Selector } from '../../../blocks/block.ts';
import { type CertificateSelectorKind, keysOf, selectCertificate, selectDeviceId, selectRegistrationId } from '../../../blocks/keys.ts';
import type { AuditEntry } from '../../../contracts/audit/audit-entry.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import type { FoundDevice } from '../../found-device.ts';
import type { FleetStorage } from '../../ports.ts';
import type { Interest } from './history.ts';

/**
 * Which changes can have mattered to a device: of groups, certificates of CAs and blocks that name it, of everything that has
 * its ids, and of individual enrollments that held its leaf.
 */
export async function interestIn({ blocks }: Pick<FleetStorage['read'], 'blocks'>, device: FoundDevice): Promise<Interest> {
  const { registrationIds, deviceIds, chain } = device;
  const own = new Set(registrationIds.map((id) => id.toLowerCase()));
  const devices = new Set(deviceIds);
  const standing = await blocks.matching(deviceKeys(device));
  const naming = new Set(standing.map(({ id }) => id));
  const selects = selectorsOf(device);
  const leaf = chain?.leaf.sha256;
  const isOf: Record<string, (entry: AuditEntry) => boolean> = {
    'enrollment-group': () => true,
    'ca-certificate': () => true,
    enrollment: (entry) => own.has(entry.resource.id.toLowerCase()) || (leaf !== undefined && holds(entry, leaf)),
    registration: ({ resource }) => own.has(resource.id.toLowerCase()),
    device: ({ resource }) => devices.has(resource.id),
    block: ({ resource, before, after }) => {
      // Only its first and its last entry say whom it names, and the last one comes first here.
      if (after === undefined && readSelectors(before).some((selector) => selects(selector) !== undefined)) naming.add(resource.id);
      return naming.has(resource.id);
    },
  };
  return {
    filters: [
      { resourceKind: 'enrollment-group' },
      { resourceKind: 'ca-certificate' },
      { resourceKind: 'block' },
      ...(leaf === undefined
        ? registrationIds.map((resource) => ({ resourceKind: 'enrollment', resource }))
        : [{ resourceKind: 'enrollment' }]),
      ...registrationIds.map((resource) => ({ resourceKind: 'registration', resource })),
      ...deviceIds.map((resource) => ({ resourceKind: 'device', resource })),
    ],
    isOf: (entry) => isOf[entry.resource.kind]?.(entry) === true,
  };
}

/** A block as it was, as far as it names the device: the trail shows what a selector is for people, and not what is compared. */
export function selectorsNaming(device: FoundDevice, view: JsonObject): Block['selectors'] {
  const selects = selectorsOf(device);
  return readSelectors(view).flatMap((shown) => selects(shown) ?? []);
}

interface ShownSelector {
  readonly kind: string;
  readonly value: string;
}

const certificateKinds: readonly CertificateSelectorKind[] = ['leaf', 'publicKey', 'issuerSerial', 'subject'];

function selectorsOf({ registrationIds, deviceIds, chain }: FoundDevice): (shown: ShownSelector) => Selector | undefined {
  const all = [
    ...registrationIds.map(selectRegistrationId),
    ...deviceIds.map(selectDeviceId),
    ...(chain === undefined ? [] : certificateKinds.map((kind) => selectCertificate(kind, chain.leaf))),
  ];
  const keyOf = ({ kind, value }: ShownSelector): string => `${kind} ${kind === 'registrationId' ? value.toLowerCase() : value}`;
  const byShown = new Map(all.map((selector) => [keyOf(selector), selector]));
  return (shown) => byShown.get(keyOf(shown));
}

function deviceKeys({ registrationIds, deviceIds, chain }: FoundDevice) {
  const certificate = chain === undefined ? {} : { certificate: chain.leaf };
  return [
    ...keysOf(certificate),
    ...registrationIds.flatMap((registrationId) => keysOf({ registrationId })),
    ...deviceIds.flatMap((deviceId) => keysOf({ deviceId })),
  ];
}

function readSelectors(view: JsonObject | undefined): readonly ShownSelector[] {
  const list = view?.['selectors'];
  if (!Array.isArray(list)) return [];
  return (list as readonly Json[]).flatMap((item) => {
    const { kind, value } = isJsonObject(item) ? item : {};
    return typeof kind === 'string' && typeof value === 'string' ? [{ kind, value }] : [];
  });
}

function holds({ before, after }: AuditEntry, leafSha256: string): boolean {
  return [before, after].some((view) => {
    const attestation = view?.['attestation'];
    if (!isJsonObject(attestation)) return false;
    return [attestation['primary'], attestation['secondary']].some((slot) => isJsonObject(slot) && slot['sha256'] === leafSha256);
  });
}
