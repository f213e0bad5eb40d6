import { z } from 'zod';
import { limits } from '../../../contracts/limits.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import { linkedHubBody } from './bodies.ts';

const name = z.string().min(1).max(200);
const place = { instance: name.optional() };

/** Checked by whoever would write it. */
const enrollment = z.record(z.string(), z.unknown()).transform((body) => body as JsonObject);

const entryChange = <Kind extends 'enrollment' | 'group'>(kind: z.ZodLiteral<Kind>) =>
  z.discriminatedUnion('action', [
    z.strictObject({ ...place, kind, action: z.literal('put'), id: name, body: enrollment }),
    z.strictObject({ ...place, kind, action: z.enum(['enable', 'disable', 'delete']), id: name }),
  ]);

const certificateChange = z.discriminatedUnion('action', [
  z.strictObject({
    ...place,
    kind: z.literal('certificate'),
    action: z.literal('put'),
    name,
    certificate: z.string().min(1).max(limits.serviceBodyBytes),
    isVerified: z.boolean().default(false),
  }),
  z.strictObject({ ...place, kind: z.literal('certificate'), action: z.enum(['verify', 'delete']), name }),
]);

const hubChange = z.discriminatedUnion('action', [
  linkedHubBody.extend({ ...place, kind: z.literal('hub'), action: z.literal('link'), hostName: name }),
  z.strictObject({ ...place, kind: z.literal('hub'), action: z.literal('unlink'), hostName: name }),
]);

/** One change, as it would be made. */
const change = z.discriminatedUnion('kind', [
  entryChange(z.literal('enrollment')),
  entryChange(z.literal('group')),
  certificateChange,
  hubChange,
  z.strictObject({
    kind: z.literal('list'),
    text: z.string().max(limits.serviceBodyBytes).optional(),
    der: z
      .base64()
      .max(limits.serviceBodyBytes)
      .transform((text) => Buffer.from(text, 'base64'))
      .optional(),
  }),
  z.strictObject({ kind: z.literal('block'), action: z.literal('lift'), id: name }),
]);

export const whatIfBody = z.strictObject({ change, all: z.boolean().default(false), devices: z.array(name).max(1000).optional() });
