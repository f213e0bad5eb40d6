import { z } from 'zod';
import { driftKinds, driftSubjects } from '../../../../contracts/fleet/drift.ts';
import { mendBody } from '../drift-bodies.ts';
import type { Operations } from './operation.ts';
import { ok, paging } from './operation-parts.ts';
import { pageOf } from './resource-answers.ts';

const driftAnswer = z.strictObject({
  kind: z.enum(driftKinds),
  subject: z.strictObject({ type: z.enum(driftSubjects), id: z.string(), scope: z.string().optional() }),
  sentence: z.string(),
  mendable: z.boolean(),
  remedy: z.string(),
});

const mendedAnswer = driftAnswer.extend({ outcome: z.enum(['mended', 'would-mend', 'left', 'gone']) });

export const drift: Operations = {
  'GET /api/v1/drift': {
    role: 'reader',
    tag: 'fleet',
    summary: 'List what has come apart between enrollments, records, identities, links and denies; a page may be empty and have a next.',
    query: { ...paging, kind: `Of these kinds only, separated by commas: ${driftKinds.join(', ')}.` },
    answer: ok(pageOf(driftAnswer)),
  },
  'POST /api/v1/drift/mend': {
    role: 'operator',
    tag: 'fleet',
    summary: 'Mend what is safe of one page of it, each in its own transaction; again, it does nothing more.',
    body: mendBody,
    answer: ok(pageOf(mendedAnswer)),
  },
};
