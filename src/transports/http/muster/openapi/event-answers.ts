import { z } from 'zod';
import { eventKinds } from '../../../../contracts/fleet/event.ts';
import { refusalSides } from '../../../../contracts/fleet/refusal.ts';
import { denyKinds } from '../../../../contracts/fleet/tripwire.ts';
import { transportNames } from '../../../../contracts/transport.ts';
import { moment } from './resource-answers.ts';

export const tripwireAnswer = z.strictObject({
  device: z.string(),
  deny: z.strictObject({ kind: z.enum(denyKinds), id: z.string() }),
  firstAt: moment,
  lastAt: moment,
  attempts: z.int().min(1),
  proven: z.int().describe("Those that showed the device's own credential"),
  doors: z.array(
    z.strictObject({ side: z.enum(refusalSides), place: z.string(), transport: z.enum(transportNames), attempts: z.int().min(1) }),
  ),
  addresses: z.array(z.string()).describe('The latest first'),
  trackingId: z.string(),
  retryAfterSeconds: z.int().describe('What the last attempt was told to wait, where its protocol has a word for it'),
});

export const eventAnswer = z.strictObject({
  sequence: z.int().min(1),
  at: moment,
  kind: z.enum(eventKinds),
  data: z.record(z.string(), z.unknown()),
});
