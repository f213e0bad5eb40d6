import { z } from 'zod';
import { flips } from '../../../../contracts/fleet/what-if.ts';
import { whatIfBody } from '../what-if-bodies.ts';
import { ok } from './operation-parts.ts';
import type { Operations } from './operation.ts';
import { moment } from './resource-answers.ts';

const outlook = z.strictObject({
  kind: z.enum(['assigned', 'webhook', 'failed', 'connects', 'disabled', 'refused', 'unknown']),
  hub: z.string().optional(),
  deviceId: z.string().optional(),
  entry: z.strictObject({ kind: z.enum(['individual', 'group']), id: z.string() }).optional(),
  block: z.string().optional(),
  errorCode: z.number().optional(),
  why: z.string().optional(),
});
const both = z.strictObject({ before: outlook, after: outlook }).optional();

const forecast = z.strictObject({
  device: z.string(),
  instance: z.string().optional(),
  flip: z.enum(flips),
  registration: both,
  connection: both,
});

const summary = {
  change: z.string(),
  at: moment,
  examined: z.number(),
  counts: z.record(z.enum(flips), z.number()),
  notes: z.array(z.string()),
};

export const whatIf: Operations = {
  'POST /api/v1/what-if': {
    role: 'reader',
    tag: 'fleet',
    summary: 'Which known devices a change would let in, shut out or move; nothing is changed.',
    body: whatIfBody,
    answer: ok(z.strictObject({ ...summary, devices: z.array(forecast), truncated: z.boolean() })),
    refusals: [404],
  },
  'POST /api/v1/what-if/stream': {
    role: 'reader',
    tag: 'fleet',
    summary: 'The same, device by device, as server-sent events: progress, device, and in the end summary.',
    body: whatIfBody,
    answer: {
      status: 200,
      stream: true,
      schema: z.union([
        z.strictObject({ examined: z.number(), total: z.number() }),
        z.strictObject({ device: forecast }),
        z.strictObject({ summary: z.strictObject(summary) }),
      ]),
    },
    refusals: [404],
  },
};
