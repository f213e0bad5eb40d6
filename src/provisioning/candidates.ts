import { LRUCache } from 'lru-cache';

import type { Certificate } from '../pki/certificate.ts';
import type { Presented, TrustMaterial } from './attestation/attestation.ts';
import type { EnrollmentRow, EnrollmentStore, ProvisioningTransaction, RegistrationStore } from './ports.ts';

export interface CandidateQuery {
  readonly instance: string;
  /** A group to be tried first. */
  readonly likelyGroup?: string;
  readonly registrationId: string;
  readonly presented: Presented;
  readonly trust: TrustMaterial;
}

export interface Candidates {
  readonly individuals: readonly EnrollmentRow[];
  readonly groups: readonly EnrollmentRow[];
}

type Stores = Pick<ProvisioningTransaction, 'enrollments' | 'registrations'>;

/** Looks up every entry that could decide. Groups are not looked up when an individual enrollment will decide (3.1). */
export async function findCandidates({ enrollments, registrations }: Stores, query: CandidateQuery): Promise<Candidates> {
  const { instance, registrationId, presented, trust } = query;
  const named = await enrollments.get('individual', instance, registrationId);
  const holding = presented.kind === 'x509' ? await enrollments.byLeaf(instance, presented.leaf.tbsSha256) : [];
  const individuals = distinct([...holding, ...(named === undefined ? [] : [named])]);
  // They are in memory, and tell the device itself from a stranger where an individual enrollment denies.
  if (presented.kind === 'sas' && individuals.length > 0) return { individuals, groups: trust.symmetricKeyGroups };
  if (presented.kind === 'sas') return { individuals, groups: await likeliestFirst(registrations, query) };
  return { individuals, groups: individuals.length > 0 ? [] : await findGroups(enrollments, query) };
}

/** The group that the device is registered with, if it is, before the others. */
async function likeliestFirst(
  registrations: RegistrationStore,
  { instance, registrationId, likelyGroup, trust }: CandidateQuery,
): Promise<readonly EnrollmentRow[]> {
  const groups = trust.symmetricKeyGroups;
  if (groups.length < 2) return groups;
  const record = likelyGroup === undefined ? await registrations.get(instance, registrationId) : undefined;
  const likely = likelyGroup ?? (record?.enrollmentKind === 'group' ? record.enrollmentId : undefined);
  const isLikely = ({ id }: EnrollmentRow): boolean => id.toLowerCase() === likely?.toLowerCase();
  return likely === undefined ? groups : [...groups.filter(isLikely), ...groups.filter((entry) => !isLikely(entry))];
}

async function findGroups(enrollments: EnrollmentStore, { instance, presented, trust }: CandidateQuery): Promise<readonly EnrollmentRow[]> {
  if (presented.kind !== 'x509') return [];
  const issuers = possibleIssuers(presented.leaf, [
    ...presented.sent,
    ...trust.signingCertificates,
    ...trust.caCertificates.map((ca) => ca.certificate),
  ]);
  const names = trust.caCertificates.filter((ca) => issuers.has(ca.certificate.sha256)).map((ca) => ca.name);
  if (issuers.size === 0) return [];
  const known = groupsBelow(trust);
  const key = [...issuers].join();
  const remembered = known.get(key);
  if (remembered !== undefined) return remembered;
  const byCertificate = await enrollments.groupsBySigningSha256(instance, [...issuers]);
  const byName = names.length === 0 ? [] : await enrollments.groupsByCaName(instance, names);
  const groups = distinct([...byCertificate, ...byName]);
  known.set(key, groups);
  return groups;
}

/** Devices of one factory share their issuers; whoever sends issuers of his own making can only push others out. */
const rememberedIssuers = 256;

/**
 * Every change of a group or a CA certificate makes the trust material another one (its version is a committed row), so what is
 * found for one material holds for as long as that is the one that was read.
 */
const groupsOf = new WeakMap<TrustMaterial, LRUCache<string, readonly EnrollmentRow[]>>();

function groupsBelow(trust: TrustMaterial): LRUCache<string, readonly EnrollmentRow[]> {
  const known = groupsOf.get(trust) ?? new LRUCache<string, readonly EnrollmentRow[]>({ max: rememberedIssuers });
  groupsOf.set(trust, known);
  return known;
}

/** By name alone, which costs no signature: a superset of those that really issued. */
function possibleIssuers(leaf: Certificate, pool: readonly Certificate[]): ReadonlySet<string> {
  const found = new Set<string>();
  const names = new Set([leaf.issuerKey]);
  for (const name of names) {
    for (const issuer of pool) {
      if (issuer.subjectKey !== name) continue;
      found.add(issuer.sha256);
      // A set yields what is added while it is walked, each name once: issuers of issuers, and no loop.
      names.add(issuer.issuerKey);
    }
  }
  return found;
}

function distinct(entries: readonly EnrollmentRow[]): readonly EnrollmentRow[] {
  return [...new Map(entries.map((entry) => [entry.id.toLowerCase(), entry])).values()];
}
