import { z } from 'zod';
import { driftKinds } from '../../../contracts/fleet/drift.ts';
import { limits } from '../../../contracts/limits.ts';

const words = z.string().trim().min(1).max(1000);

export const mendBody = z.strictObject({
  top: z.int().min(1).max(limits.queryPageMaximum).default(limits.queryPage),
  after: z.string().min(1).max(1000).optional(),
  kinds: z.array(z.enum(driftKinds)).min(1).optional(),
  dryRun: z.boolean().default(false),
  reason: words.optional(),
  ticket: words.optional(),
});
