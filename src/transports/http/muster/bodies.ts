import { z } from 'zod';
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
