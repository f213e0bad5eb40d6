import { z } from 'zod';
import { selectorKinds } from '../../../../blocks/block.ts';
import { transportNames } from '../../../../contracts/transport.ts';
import { moment } from './resource-answers.ts';

const transport = z.enum(transportNames);
const side = z.enum(['provisioning', 'hub']);
const status = z.enum(['enabled', 'disabled']);

const findings = z.strictObject({
  registrationIds: z.array(z.string()),
  deviceIds: z.array(z.string()),
  certificate: z
    .strictObject({
      subject: z.string(),
      issuer: z.string(),
      serialNumber: z.string(),
      sha256: z.string(),
      publicKeySha256: z.string(),
      notAfter: z.string(),
      source: z.enum(['given', 'last registration', 'individual enrollment']),
    })
    .optional(),
  enrollments: z.array(
    z.strictObject({ instance: z.string(), kind: z.enum(['individual', 'group']), id: z.string(), provisioningStatus: status }),
  ),
  records: z.array(
    z.strictObject({
      instance: z.string(),
      registrationId: z.string(),
      status: z.string(),
      assignedHub: z.string().optional(),
      deviceId: z.string().optional(),
    }),
  ),
  identities: z.array(
    z.strictObject({ hub: z.string(), hostName: z.string(), deviceId: z.string(), status: z.string(), connected: z.boolean() }),
  ),
});

const door = z.strictObject({
  side,
  name: z.string(),
  transport,
  credential: z.string(),
  verdict: z.enum(['refused', 'let-in', 'unknown']),
  says: z.string(),
  why: z.string(),
  evaluated: z.enum(['decision', 'wire']),
});

export const receiptAnswer = z.strictObject({
  id: z.string().optional(),
  kind: z.enum(['revoke', 'retire', 'reinstate']),
  dryRun: z.boolean().optional(),
  alreadyDone: z.boolean().optional(),
  device: z.string(),
  asked: z.string(),
  at: z.string(),
  by: z.string(),
  reason: z.string().optional(),
  ticket: z.string().optional(),
  found: findings,
  steps: z.array(z.strictObject({ what: z.string(), sentence: z.string() })),
  block: z
    .strictObject({
      id: z.string(),
      selectors: z.array(z.strictObject({ kind: z.string(), value: z.string() })),
      reason: z.string(),
      ticket: z.string().optional(),
      expiresAt: z.string().optional(),
    })
    .optional(),
  timeToRevoke: z
    .strictObject({
      committedAt: moment.optional(),
      sessions: z.int(),
      milliseconds: z.number(),
      perTransport: z.array(z.strictObject({ transport, sessions: z.int(), milliseconds: z.number() })),
    })
    .optional(),
  proof: z.array(door).optional(),
  undo: z.strictObject({ possible: z.boolean(), sentence: z.string(), command: z.string().optional() }),
  undoneBy: z.string().optional(),
});

/** A step also has what it was about: an entry, a block, a path, a webhook's exchange. */
const traceLine = z.looseObject({
  subject: z.string(),
  outcome: z.enum(['decided', 'passed', 'lost']),
  reason: z.string(),
  sentence: z.string(),
});

const chain = z.strictObject({
  links: z.array(
    z.strictObject({
      role: z.enum(['leaf', 'issuer', 'anchor']),
      subject: z.string(),
      issuer: z.string(),
      sha256: z.string(),
      notBefore: z.string(),
      notAfter: z.string(),
      from: z.array(z.string()),
      problem: z.strictObject({ reason: z.string(), sentence: z.string() }).optional(),
    }),
  ),
  trusted: z.boolean(),
  missingIssuer: z.strictObject({ name: z.string(), keyId: z.string().optional() }).optional(),
});

export const explanationAnswer = z.strictObject({
  asked: z.string(),
  at: z.string(),
  asOf: z.string().optional(),
  notes: z.array(z.string()).optional(),
  kind: z.enum(['certificate', 'device', 'tracking id', 'operation id']),
  found: findings.optional(),
  decisions: z.array(
    z.strictObject({
      side,
      name: z.string(),
      id: z.string(),
      verdict: z.enum(['let-in', 'disabled', 'refused', 'unknown']),
      basis: z.string(),
      chain: chain.optional(),
      trace: z.array(traceLine),
      says: z.record(transport, z.string()).optional(),
      remedies: z.array(z.string()),
    }),
  ),
  kept: z
    .strictObject({
      side,
      trackingId: z.string(),
      name: z.string(),
      id: z.string(),
      at: z.string(),
      transport: z.string(),
      verdict: z.string(),
      operationId: z.string().optional(),
      trace: z.array(traceLine),
      says: z.string().optional(),
      remedies: z.array(z.string()),
    })
    .optional(),
});

export const blockAnswer = z.strictObject({
  id: z.string(),
  selectors: z.array(z.strictObject({ kind: z.enum(selectorKinds), value: z.string() })),
  reason: z.string(),
  ticket: z.string().optional(),
  createdBy: z.string(),
  createdAt: moment,
  expiresAt: moment.optional(),
  receiptId: z.string().optional(),
  readmission: z.strictObject({ until: moment, usedAt: moment.optional() }).optional(),
});

export const runAnswer = z.strictObject({
  id: z.string(),
  kind: z.string(),
  dryRun: z.literal(true).optional(),
  createdAt: moment,
  finishedAt: moment.optional(),
  counts: z.strictObject({ pending: z.int(), done: z.int(), failed: z.int() }),
});

export const runItemAnswer = z.strictObject({
  ordinal: z.int(),
  target: z.string(),
  state: z.enum(['pending', 'done', 'failed']),
  receiptId: z.string().optional(),
  message: z.string().optional(),
});
