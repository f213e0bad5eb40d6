import { z } from 'zod';
import { selectorKinds } from '../../../blocks/block.ts';
import { limits } from '../../../contracts/limits.ts';
import { blockBy } from '../../../fleet/service.ts';
import { instant } from '../../../kernel/clock.ts';

const words = z.string().trim().min(1, 'must not be empty').max(1000, 'takes at most 1000 characters');
const moment = z.iso.datetime({ offset: true }).transform((text) => instant(Date.parse(text)));
/** An id, a thumbprint or a chain in PEM. */
const device = z.string().trim().min(1).max(limits.serviceBodyBytes);
const by = z.array(z.enum(blockBy)).min(1);

const terms = {
  mode: z.enum(['revoke', 'retire']).default('revoke'),
  identity: z.enum(['remove', 'disable', 'keep']).default('remove'),
  by: by.optional(),
  reason: words,
  ticket: words.optional(),
  expiresAt: moment.optional(),
};

/** A retired device has no twin any more, and a twin has an identity. */
const isWhole = (body: { readonly mode: string; readonly identity: string }): boolean =>
  body.mode !== 'retire' || body.identity === 'remove';
const wholeMessage = { message: 'retiring removes the identity', path: ['identity'] };

export const deprovisionBody = z
  .strictObject({ ...terms, device, dryRun: z.boolean().default(false), evenIfUnknown: z.boolean().default(false) })
  .refine(isWhole, wholeMessage);

export const runBody = z
  .strictObject({
    ...terms,
    devices: z.array(z.string().trim().min(1).max(limits.serviceBodyBytes)).max(limits.runDevices).optional(),
    group: z.string().min(1).max(200).optional(),
    query: z.string().min(1).max(limits.queryCharacters).optional(),
    dryRun: z.boolean().default(false),
    instance: z.string().min(1).max(200).optional(),
  })
  .refine(isWhole, wholeMessage)
  .refine(({ devices, group, query }) => [devices, group, query].filter((given) => given !== undefined).length === 1, {
    message: 'devices, a group or a query must be named, and one of them only',
    path: ['devices'],
  });

export const reinstateBody = z.strictObject({
  device,
  reason: words.optional(),
  onceUntil: moment.optional(),
  dryRun: z.boolean().default(false),
});

export const blockBody = z.strictObject({
  selectors: z.array(z.strictObject({ kind: z.enum(selectorKinds), value: z.string().min(1).max(1000) })).default([]),
  certificate: z.string().min(1).max(limits.serviceBodyBytes).optional(),
  by: z
    .array(z.enum(['key', 'leaf', 'serial', 'subject']))
    .min(1)
    .optional(),
  reason: words,
  ticket: words.optional(),
  expiresAt: moment.optional(),
});

export const explainBody = z.strictObject({
  subject: device,
  instance: z.string().min(1).max(200).optional(),
  registrationId: z.string().min(1).max(200).optional(),
  at: moment.optional(),
});
