import type { JsonObject } from '../../kernel/json.ts';
import type {
  AccessPolicyRow,
  CaCertificateRow,
  CaCertificateStore,
  DecisionStore,
  EnrollmentRow,
  EnrollmentStore,
  InstanceStore,
  LinkedHubRow,
  PresentedCertificateStore,
  ProvisioningInstance,
  RegistrationRow,
  RegistrationStore,
  StoredAttestation,
  StoredCertificate,
  TpmStore,
} from '../../provisioning/ports.ts';
import { gone, nothing, type Plan, view } from './plan.ts';

/** Stands for a secret. */
export type Mask = (secret: string) => string;

const reads = 'read';
const data = 'data';

export function enrollmentPlan(mask: Mask): Plan<EnrollmentStore> {
  const resource = ({ kind, instance, id }: Pick<EnrollmentRow, 'kind' | 'instance' | 'id'>) => ({
    kind: kind === 'group' ? 'enrollment-group' : 'enrollment',
    id,
    scope: instance,
  });
  const look = async (store: EnrollmentStore, { kind, instance, id }: Pick<EnrollmentRow, 'kind' | 'instance' | 'id'>) => {
    const row = await store.get(kind, instance, id);
    return row && enrollmentView(row, mask);
  };
  return {
    get: reads,
    byLeaf: reads,
    groupsBySigningSha256: reads,
    groupsByCaName: reads,
    signingCertificates: reads,
    symmetricKeyGroups: reads,
    list: reads,
    count: reads,
    trustVersion: reads,
    insert: (_store, row) => ({ resource: resource(row), look: nothing, after: () => enrollmentView(row, mask) }),
    replace: (store, row) => ({ resource: resource(row), look: () => look(store, row) }),
    delete: (store, kind, instance, id) => ({
      resource: resource({ kind, instance, id }),
      look: () => look(store, { kind, instance, id }),
      after: gone,
    }),
  };
}

function enrollmentView(row: EnrollmentRow, mask: Mask): JsonObject {
  const { kind: _kind, instance: _instance, id: _id, createdAt: _created, updatedAt: _updated, ...rest } = row;
  const { attestation, customAllocationDefinition: webhook, ...shown } = rest;
  const { webhookUrl = '', apiVersion } = webhook ?? {};
  return view({
    ...shown,
    attestation: attestationView(attestation, mask),
    customAllocationDefinition: webhook && { webhookUrl: maskQuery(webhookUrl, mask), apiVersion },
  });
}

/** Leaves by their thumbprints. The keys of a TPM are public. */
function attestationView(attestation: StoredAttestation, mask: Mask): object {
  if (attestation.type === 'symmetricKey') {
    const { type, primaryKey, secondaryKey } = attestation;
    return { type, primaryKey: mask(primaryKey), secondaryKey: mask(secondaryKey) };
  }
  if (attestation.type === 'tpm' || attestation.form === 'caReferences') return attestation;
  // Of an issuer the whole certificate: without it nobody could tell later what a group that is gone had decided.
  const isIssuer = attestation.form === 'signingCertificates';
  const shown = (slot: StoredCertificate | undefined) => slot && { sha256: slot.sha256, ...(isIssuer ? certificateView(slot) : {}) };
  return { ...attestation, primary: shown(attestation.primary), secondary: shown(attestation.secondary) };
}

const certificateView = ({ der }: { readonly der: Uint8Array }) => ({ certificate: Buffer.from(der).toString('base64') });

/** Webhooks are often let in by a code in the query of their address. */
function maskQuery(url: string, mask: Mask): string {
  const [address = '', ...query] = url.split('?');
  return query.length === 0 ? address : `${address}?${mask(query.join('?'))}`;
}

/** What is told of a record is where it says that the device is, or that it is shut out; not each time that it asked. */
export const registrationPlan: Plan<RegistrationStore> = {
  get: reads,
  list: reads,
  listByGroup: reads,
  count: reads,
  find: reads,
  getOperation: reads,
  runningOperation: reads,
  unfinishedOperations: reads,
  put: (store, row) => ({
    resource: { kind: 'registration', id: row.registrationId, scope: row.instance },
    look: async () => registrationView(await store.get(row.instance, row.registrationId)),
    after: () => registrationView(row),
  }),
  delete: (store, instance, id) => ({
    resource: { kind: 'registration', id, scope: instance },
    look: async () => registrationView(await store.get(instance, id)),
    after: gone,
  }),
  putOperation: data,
  endRequestlessOperations: data,
  forgetOperations: data,
};

function registrationView(row: RegistrationRow | undefined): JsonObject | undefined {
  if (row === undefined) return undefined;
  const { enrollmentKind, enrollmentId, assignedHub, deviceId, status } = row;
  const isShut = status === 'disabled' || status === 'failed';
  return view({ enrollmentKind, enrollmentId, assignedHub, deviceId, status: isShut ? status : undefined });
}

export function caCertificatePlan(mask: Mask): Plan<CaCertificateStore> {
  const resource = (scope: string, id: string) => ({ kind: 'ca-certificate', id, scope });
  const show = ({ etag, sha256, der, isVerified, verificationCode }: CaCertificateRow): JsonObject =>
    view({ etag, sha256, ...certificateView({ der }), isVerified, verificationCode: verificationCode && mask(verificationCode) });
  const look = async (store: CaCertificateStore, instance: string, name: string) => {
    const row = await store.get(instance, name);
    return row && show(row);
  };
  return {
    get: reads,
    list: reads,
    insert: (_store, row) => ({ resource: resource(row.instance, row.name), look: nothing, after: () => show(row) }),
    replace: (store, row) => ({
      resource: resource(row.instance, row.name),
      look: () => look(store, row.instance, row.name),
      after: () => show(row),
    }),
    delete: (store, instance, name) => ({ resource: resource(instance, name), look: () => look(store, instance, name), after: gone }),
  };
}

/** The entity tag of an instance moves with its policies and links, which are told of by themselves. */
export function instancePlan(mask: Mask): Plan<InstanceStore> {
  const policyOf = async (store: InstanceStore, name: string, keyName: string) => {
    const policy = (await store.policies(name)).find((candidate) => candidate.keyName === keyName);
    return policy && policyView(policy, mask);
  };
  const linkOf = async (store: InstanceStore, name: string, hostName: string) => {
    const link = (await store.linkedHubs(name)).find((candidate) => candidate.hostName.toLowerCase() === hostName.toLowerCase());
    return link && linkView(link);
  };
  return {
    get: reads,
    list: reads,
    policies: reads,
    linkedHubs: reads,
    insert: (_store, row) => ({ resource: { kind: 'dps', id: row.name }, look: nothing, after: () => instanceView(row) }),
    update: (store, row) => ({
      resource: { kind: 'dps', id: row.name },
      look: async () => {
        const current = await store.get(row.name);
        return current && instanceView(current);
      },
    }),
    putPolicy: (store, name, policy) => ({
      resource: { kind: 'dps-policy', id: policy.keyName, scope: name },
      look: () => policyOf(store, name, policy.keyName),
      after: () => policyView(policy, mask),
    }),
    deletePolicy: (store, name, keyName) => ({
      resource: { kind: 'dps-policy', id: keyName, scope: name },
      look: () => policyOf(store, name, keyName),
      after: gone,
    }),
    putLinkedHub: (store, link) => ({
      resource: { kind: 'linked-hub', id: link.hostName, scope: link.instance },
      look: () => linkOf(store, link.instance, link.hostName),
      after: () => linkView(link),
    }),
    deleteLinkedHub: (store, name, hostName) => ({
      resource: { kind: 'linked-hub', id: hostName, scope: name },
      look: () => linkOf(store, name, hostName),
      after: gone,
    }),
  };
}

/** Of either side: both have the same shape. */
export function policyView({ primaryKey, secondaryKey, rights }: AccessPolicyRow, mask: Mask): JsonObject {
  return { rights, primaryKey: mask(primaryKey), secondaryKey: mask(secondaryKey) };
}

function instanceView({ hostName, idScope, allocationPolicy, ipFilterRules }: ProvisioningInstance): JsonObject {
  return view({ hostName, idScope, allocationPolicy, ipFilterRules });
}

function linkView({ location, applyAllocationPolicy, allocationWeight }: LinkedHubRow): JsonObject {
  return { location, applyAllocationPolicy, allocationWeight };
}

/** Reasons of decisions are a record of their own. */
export const decisionPlan: Plan<DecisionStore> = { get: reads, append: data, prune: data };

/** Made by the service when the first TPM comes, and what devices show; no operator has a hand in it. */
export const tpmPlan: Plan<TpmStore> = {
  secret: reads,
  storageRootKeys: reads,
  putSecret: data,
  rememberStorageRootKey: data,
  proveStorageRootKey: data,
  forgetStorageRootKeys: data,
};

export const presentedPlan: Plan<PresentedCertificateStore> = { get: reads, withKey: reads, put: data };
