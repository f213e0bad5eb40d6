import { z } from 'zod';
import { operatorRoles } from '../../../contracts/operators.ts';
import { instant } from '../../../kernel/clock.ts';

export const createTokenBody = z.strictObject({
  name: z.string().min(1).max(64),
  role: z.enum(operatorRoles),
  expiresAt: z.iso
    .datetime({ offset: true })
    .transform((text) => instant(Date.parse(text)))
    .optional(),
});

export const pruneAuditBody = z.strictObject({ before: z.iso.datetime({ offset: true }) });
