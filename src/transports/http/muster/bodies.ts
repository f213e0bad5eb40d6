import { z } from 'zod';
import { ipFilterRulesBody } from '../../../contracts/dps/ip-filter-rule.ts';
import { limits } from '../../../contracts/limits.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { HttpRequest } from '../engine/route.ts';

/** What a name must look like is said by the domain that keeps it. */
const name = z.string().min(1).max(253);

export const createResourceBody = z.strictObject({ name, hostName: name.optional() });

export const linkedHubBody = z.strictObject({
  location: z.string().max(100).default('local'),
  applyAllocationPolicy: z.boolean().default(true),
  allocationWeight: z.int().min(1).max(1000).default(1),
});

type Given<T> = { [K in keyof T as undefined extends T[K] ? K : never]?: NonNullable<T[K]> } & {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
};

/** A body without the members that are absent or null, which mean the same. */
function present<T extends object>(body: T): Given<T> {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined && value !== null)) as Given<T>;
}

/** What a key or a right has to look like is said by the domain. */
const policyChange = {
  rights: z.union([z.array(z.string()), z.string().transform((text) => text.split(',').map((right) => right.trim()))]).optional(),
  primaryKey: z.string().nullish(),
  secondaryKey: z.string().nullish(),
};
export const createPolicyBody = z.strictObject({ keyName: z.string(), ...policyChange }).transform(present);
export const updatePolicyBody = z.strictObject(policyChange).transform(present);
export const renewKeyBody = z.strictObject({ key: z.enum(['primary', 'secondary', 'swap']) });

export const updateInstanceBody = z
  .strictObject({
    allocationPolicy: z.enum(['hashed', 'geoLatency', 'static']).optional(),
    ipFilterRules: ipFilterRulesBody.optional(),
  })
  .transform(present);

const certificate = z.string().min(1).max(limits.serviceBodyBytes);
export const certificateBody = z.strictObject({ certificate, isVerified: z.boolean().default(false) });
export const proofBody = z.strictObject({ certificate });

/** Reads a body against its schema. Throws `GenericBadRequest` that names the field. */
export async function readBody<Schema extends z.ZodType>(request: HttpRequest, schema: Schema): Promise<z.infer<Schema>> {
  const result = schema.safeParse((await request.readJson(limits.serviceBodyBytes)) ?? {});
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join('.');
  throw new ServiceError('GenericBadRequest', `${field ? `The field ${field}` : 'The body'}: ${issue?.message ?? 'invalid'}.`);
}
