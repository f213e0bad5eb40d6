import { z } from 'zod';
import { auditFlaws } from '../../../../contracts/audit/audit-entry.ts';
import { refusalSides } from '../../../../contracts/fleet/refusal.ts';
import { operatorRoles } from '../../../../contracts/operators.ts';
import { transportNames } from '../../../../contracts/transport.ts';
import { moment } from './resource-answers.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/u);
const jsonObject = z.record(z.string(), z.unknown());

export const auditEntryAnswer = z.strictObject({
  sequence: z.int().min(1),
  at: moment,
  actor: z.strictObject({
    kind: z.string(),
    name: z.string(),
    origin: z.strictObject({ transport: z.string(), address: z.string(), userAgent: z.string().optional() }).optional(),
  }),
  action: z.string(),
  resource: z.strictObject({ kind: z.string(), id: z.string(), scope: z.string().optional() }),
  before: jsonObject.optional(),
  after: jsonObject.optional(),
  reason: z.string().optional(),
  ticket: z.string().optional(),
  previousHash: sha256,
  hash: sha256.describe('SHA-256 of the entry without its hash, in the canonical form of RFC 8785'),
});

export const auditHeadAnswer = z.strictObject({ sequence: z.int(), hash: sha256 });

export const auditVerdictAnswer = z.discriminatedUnion('ok', [
  z.strictObject({
    ok: z.literal(true),
    checked: z.int(),
    head: auditHeadAnswer,
    prunedThrough: auditHeadAnswer.optional(),
    sealed: z.boolean(),
  }),
  z.strictObject({ ok: z.literal(false), checked: z.int(), sequence: z.int(), reason: z.enum(auditFlaws), sentence: z.string() }),
]);

const token = {
  id: z.string(),
  name: z.string(),
  role: z.enum(operatorRoles),
  createdBy: z.string(),
  createdAt: moment,
  expiresAt: moment.optional(),
  revokedAt: moment.optional(),
  state: z.enum(['active', 'expired', 'revoked']),
};
export const tokenAnswer = z.strictObject(token);
export const newTokenAnswer = z.strictObject({ ...token, token: z.string().describe('Shown here and nowhere else') });
export const operatorAnswer = z.strictObject({ name: z.string(), role: z.enum(operatorRoles) });

export const refusalAnswer = z.strictObject({
  sequence: z.int(),
  at: moment,
  side: z.enum(refusalSides),
  place: z.string(),
  deviceId: z.string(),
  transport: z.enum(transportNames),
  address: z.string(),
  trackingId: z.string(),
  error: z.string(),
  reason: z.string(),
  sentence: z.string(),
});
