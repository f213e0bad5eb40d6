import { z } from 'zod';
import { provisioningRights } from '../../../../contracts/dps/rights.ts';
import { transportNames } from '../../../../contracts/transport.ts';
import { hubRights } from '../../../../hub/service.ts';

export const moment = z.iso.datetime({ offset: true });

export const instanceAnswer = z.strictObject({
  name: z.string(),
  hostName: z.string(),
  idScope: z.string(),
  allocationPolicy: z.enum(['hashed', 'geoLatency', 'static', 'custom']),
  iotHubs: z.array(
    z.strictObject({ hostName: z.string(), location: z.string(), applyAllocationPolicy: z.boolean(), allocationWeight: z.int() }),
  ),
  etag: z.string(),
  ipFilterRules: z.array(
    z.strictObject({
      filterName: z.string(),
      action: z.enum(['Accept', 'Reject']),
      ipMask: z.string(),
      target: z.enum(['all', 'serviceApi', 'deviceApi']),
    }),
  ),
});

const policy = <Right extends string>(rights: readonly Right[]) =>
  z.strictObject({ keyName: z.string(), primaryKey: z.string(), secondaryKey: z.string(), rights: z.array(z.enum(rights)) });

export const policyAnswer = policy(provisioningRights);
export const hubPolicyAnswer = policy(hubRights);
export const hubAnswer = z.strictObject({ name: z.string(), hostName: z.string() });

export const certificateAnswer = z.strictObject({
  name: z.string(),
  etag: z.string(),
  properties: z.strictObject({
    subject: z.string(),
    expiry: z.string(),
    thumbprint: z.string(),
    isVerified: z.boolean(),
    certificate: z.string().describe('base64 of DER'),
    created: z.string(),
    updated: z.string(),
    verificationCode: z.string().optional(),
  }),
});

/** What the reasons of a decision are is told by its steps, which grow with what is looked at. */
export const decisionAnswer = z.strictObject({
  trackingId: z.string(),
  instance: z.string(),
  registrationId: z.string(),
  at: moment,
  transport: z.enum(transportNames),
  verdict: z.string(),
  trace: z.unknown(),
  operationId: z.string().optional(),
});

export const errorAnswer = z.strictObject({
  error: z.strictObject({ code: z.string(), message: z.string(), trackingId: z.string() }),
});

export const healthAnswer = z.strictObject({ status: z.literal('ok') });

/** One page of a listing; `next` is `after` of the next one. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.strictObject({ items: z.array(item), next: z.string().optional() });
}

const entryName = { kind: z.enum(['individual', 'group']), id: z.string() };
export const shadowedAnswer = z.strictObject({
  ...entryName,
  by: z.array(z.strictObject(entryName)).describe('The entries that decide about everything that it names.'),
});
