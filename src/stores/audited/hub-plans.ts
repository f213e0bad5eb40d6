import type {
  DeviceRow,
  DeviceStore,
  FeedbackStore,
  HubDecisionStore,
  HubInstanceStore,
  MessageQueueStore,
  PresenceStore,
  SubscriptionStore,
  TelemetryStore,
  TwinRow,
  TwinStore,
} from '../../hub/ports.ts';
import { type IdentityPath, idsOf } from '../../contracts/hub/identity-path.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { gone, nothing, type Plan, view } from './plan.ts';
import { type Mask, policyView } from './provisioning-plans.ts';

const reads = 'read';
const data = 'data';

export function hubPlan(mask: Mask): Plan<HubInstanceStore> {
  return {
    get: reads,
    list: reads,
    policies: reads,
    insert: (_store, { name, hostName }) => ({ resource: { kind: 'hub', id: name }, look: nothing, after: () => ({ hostName }) }),
    putPolicy: (store, hub, policy) => ({
      resource: { kind: 'hub-policy', id: policy.keyName, scope: hub },
      look: async () => {
        const current = (await store.policies(hub)).find(({ keyName }) => keyName === policy.keyName);
        return current && policyView(current, mask);
      },
      after: () => policyView(policy, mask),
    }),
  };
}

/** An identity that is removed takes its twin along, which is not told of by itself, and a device its modules, which are. */
export function devicePlan(mask: Mask): Plan<DeviceStore> {
  const resource = (hub: string, path: IdentityPath) => ({
    kind: idsOf(path).moduleId === undefined ? 'device' : 'module',
    id: path,
    scope: hub,
  });
  const look = async (store: DeviceStore, hub: string, deviceId: string) => {
    const row = await store.get(hub, deviceId);
    return row && deviceView(row, mask);
  };
  return {
    get: reads,
    list: reads,
    byThumbprint: reads,
    modulesOf: reads,
    byScope: reads,
    insert: (_store, row) => ({ resource: resource(row.hub, row.deviceId), look: nothing, after: () => deviceView(row, mask) }),
    replace: (store, row) => ({
      resource: resource(row.hub, row.deviceId),
      look: () => look(store, row.hub, row.deviceId),
      after: () => deviceView(row, mask),
    }),
    delete: (store, hub, deviceId) => ({
      resource: resource(hub, deviceId),
      look: () => look(store, hub, deviceId),
      after: gone,
      along: async () => {
        const modules = idsOf(deviceId).moduleId === undefined ? await store.modulesOf(hub, deviceId) : [];
        return modules.map((row) => ({ resource: resource(row.hub, row.deviceId), before: deviceView(row, mask) }));
      },
    }),
  };
}

function deviceView(
  { hub: _hub, deviceId: _id, createdAt: _created, statusUpdatedAt: _updated, ...row }: DeviceRow,
  mask: Mask,
): JsonObject {
  const { authentication, ...shown } = row;
  const { primaryKey, secondaryKey, ...rest } = authentication;
  const keys = { primaryKey: primaryKey && mask(primaryKey), secondaryKey: secondaryKey && mask(secondaryKey) };
  return view({ ...shown, authentication: { ...rest, ...keys } });
}

/** Tags and desired properties are the operator's; what a device reports is data, and moves neither of them. */
export const twinPlan: Plan<TwinStore> = {
  get: reads,
  insert: (_store, row) => ({ resource: twinResource(row), look: nothing, after: () => twinView(row) }),
  replace: (store, row) => ({
    resource: twinResource(row),
    look: async () => {
      const current = await store.get(row.hub, row.deviceId);
      return current && twinView(current);
    },
    after: () => twinView(row),
  }),
};

const twinResource = ({ hub, deviceId }: TwinRow) => ({ kind: 'twin', id: deviceId, scope: hub });

function twinView({ etagCounter, tags, desired }: TwinRow): JsonObject {
  return { etagCounter, tags, desired: desired.properties };
}

/** What devices send is data; that it was erased for good is a change. */
export const telemetryPlan: Plan<TelemetryStore> = {
  read: reads,
  lastSequenceNumber: reads,
  append: data,
  forget: data,
  erase: (_store, hub, deviceId) => ({
    resource: { kind: 'telemetry', id: deviceId, scope: hub },
    look: () => Promise.resolve({}),
    after: gone,
  }),
};

/** Messages and their settlement are data; a purge is recorded by whoever purges, as one change. */
export const queuePlan: Plan<MessageQueueStore> = {
  count: reads,
  counts: reads,
  free: reads,
  list: reads,
  nextUnlock: reads,
  locked: reads,
  expired: reads,
  append: data,
  mark: data,
  release: data,
  remove: data,
};

export const feedbackPlan: Plan<FeedbackStore> = { oldest: reads, append: data, removeThrough: data, forget: data };
export const subscriptionPlan: Plan<SubscriptionStore> = { get: reads, put: data, delete: data };
/** When devices were seen is news of them, not a change that anybody made. */
export const presencePlan: Plan<PresenceStore> = { find: reads, put: data, endConnections: data };
export const hubDecisionPlan: Plan<HubDecisionStore> = { get: reads, append: data, prune: data };
