import { deriveDeviceKey } from '../access/device-key.ts';
import { createSasToken } from '../access/sas-token.ts';
import { type Clock, minutes, plus } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import { groupBefore, namesOfSame } from './attestation/x509.ts';
import type { Inquire, JudgeStores } from './judge.ts';
import type { EnrollmentRow, ProvisioningInstance } from './ports.ts';
import type { EntryName } from './service.ts';
import type { TrustReader } from './trust-material.ts';

export interface ShadowDependencies {
  readonly inquire: Inquire;
  readonly trust: TrustReader;
  readonly clock: Clock;
  readonly ids: Ids;
}

/**
 * The entries that decide in place of this one about everything that it names: such an entry never decides, it is shadowed.
 * Nobody (an empty list) when there is one thing that it may decide about.
 *
 * - An individual enrollment with client certificates: the decision is asked with each of them, under its common name.
 * - A group with certificates: for each of them, the group that names the same one and comes before it.
 * - A group with a key: the decision is asked with a token of a device that no other entry knows, for each of its keys.
 * - Every other individual enrollment is found by its id, and decides about that.
 *
 * Blocks and the IP filter are left out: they lie over all entries. A group below which another one has its certificate is
 * not shadowed by that, since other devices may come.
 */
export async function shadowsOf(
  deps: ShadowDependencies,
  stores: JudgeStores,
  { instance, entry }: { readonly instance: ProvisioningInstance; readonly entry: EnrollmentRow },
): Promise<readonly EntryName[]> {
  const asked = { deps, stores: withoutBlocks(stores), instance, entry };
  const deciders = entry.kind === 'individual' ? await byLeaves(asked) : await ofGroup(asked);
  if (deciders.length === 0 || deciders.some((decider) => decider === undefined || isSame(decider, entry))) return [];
  const names = deciders.flatMap((decider) => (decider === undefined ? [] : [{ kind: decider.kind, id: decider.id }]));
  return [...new Map(names.map((name) => [`${name.kind} ${name.id}`, name])).values()];
}

interface Asked {
  readonly deps: ShadowDependencies;
  readonly stores: JudgeStores;
  readonly instance: ProvisioningInstance;
  readonly entry: EnrollmentRow;
}

/** Who decides, about one thing after the other; `undefined` where no entry does. */
type Deciders = readonly (EntryName | undefined)[];

async function byLeaves({ deps, stores, instance, entry: { attestation } }: Asked): Promise<Deciders> {
  if (attestation.type !== 'x509' || attestation.form !== 'clientCertificates') return [];
  const deciders: (EntryName | undefined)[] = [];
  for (const slot of [attestation.primary, attestation.secondary]) {
    if (slot === undefined) continue;
    const presented = deps.trust.presented({ certificates: [slot.der] });
    const registrationId = presented.kind === 'x509' ? presented.leaf.commonName : undefined;
    // Without one it lets nobody in, but it is not another entry that decides.
    deciders.push(
      registrationId === undefined ? undefined : await decider(deps, stores, { instance, registrationId, presented, purpose: 'register' }),
    );
  }
  return deciders;
}

function ofGroup(asked: Asked): Promise<Deciders> {
  return asked.entry.attestation.type === 'symmetricKey' ? byKeys(asked) : byIssuers(asked);
}

/** It gets the precedence of the group that a device is registered with: if it does not decide then, it never does. */
async function byKeys({ deps, stores, instance, entry: { id, attestation } }: Asked): Promise<Deciders> {
  if (attestation.type !== 'symmetricKey') return [];
  const deciders: (EntryName | undefined)[] = [];
  const registrationId = deps.ids.guid().toLowerCase();
  for (const key of [attestation.primaryKey, attestation.secondaryKey]) {
    const resource = `${instance.idScope}/registrations/${registrationId}`;
    const base64Key = deriveDeviceKey(Buffer.from(key, 'base64'), registrationId);
    const sasToken = createSasToken({ resource, base64Key, expiresAt: plus(deps.clock.now(), minutes(1)) });
    const presented = deps.trust.presented({ certificates: [], sasToken });
    deciders.push(await decider(deps, stores, { instance, registrationId, presented, purpose: 'register', likelyGroup: id }));
  }
  return deciders;
}

/** By the order of groups alone: nobody here can issue a certificate below theirs to ask with. */
async function byIssuers({ deps, stores, instance, entry }: Asked): Promise<Deciders> {
  const trust = await deps.trust.material(stores, instance.name);
  const { sha256s, caNames } = namesOfSame(entry, { trust });
  const inLine = sha256s.length === 0 ? [] : await stores.enrollments.groupsBySigningSha256(instance.name, sha256s);
  const byName = caNames.length === 0 ? [] : await stores.enrollments.groupsByCaName(instance.name, caNames);
  const groups = [...new Map([...inLine, ...byName].map((group) => [group.id.toLowerCase(), group])).values()];
  return groupBefore(sha256s, { groups, trust });
}

async function decider(
  { inquire }: ShadowDependencies,
  stores: JudgeStores,
  inquiry: Parameters<Inquire>[1],
): Promise<EntryName | undefined> {
  const { trace } = (await inquire(stores, inquiry)).verdict;
  return trace.findLast(({ outcome }) => outcome === 'decided')?.entry;
}

function withoutBlocks(stores: JudgeStores): JudgeStores {
  return { ...stores, blocks: { ...stores.blocks, matching: () => Promise.resolve([]) } };
}

function isSame(a: EntryName, b: EntryName): boolean {
  return a.kind === b.kind && a.id.toLowerCase() === b.id.toLowerCase();
}
