import { z } from 'zod';
import { createTokenBody, pruneAuditBody } from '../audit-bodies.ts';
import {
  auditEntryAnswer,
  auditHeadAnswer,
  auditVerdictAnswer,
  newTokenAnswer,
  operatorAnswer,
  refusalAnswer,
  tokenAnswer,
} from './audit-answers.ts';
import { eventAnswer, tripwireAnswer } from './event-answers.ts';
import type { Operations } from './operation.ts';
import { pageOf } from './resource-answers.ts';

import { ok, paging, since } from './operation-parts.ts';

/** Who did what, who may what, and who was refused. */
const audit: Operations = {
  'GET /api/v1/audit': {
    role: 'reader',
    tag: 'audit',
    summary: 'List the audit trail.',
    query: {
      ...paging,
      order: 'newest-first (default) or oldest-first.',
      resource: 'The id of what was changed.',
      kind: 'The kind of what was changed.',
      scope: 'The provisioning service or hub that it belongs to.',
      actor: 'The name of whoever changed it.',
      action: 'What was done, as in device.delete.',
      since,
      until: 'Before this time (RFC 3339).',
    },
    answer: ok(pageOf(auditEntryAnswer)),
  },
  'GET /api/v1/audit/head': {
    role: 'reader',
    tag: 'audit',
    summary: 'The end of the trail. Kept elsewhere, it shows later that nothing before it was taken away.',
    answer: ok(auditHeadAnswer),
  },
  'GET /api/v1/audit/verify': {
    role: 'reader',
    tag: 'audit',
    summary: 'Check every entry of the trail; a broken one is an answer, not an error.',
    query: { head: 'The hash of an end that was noted earlier.' },
    answer: ok(auditVerdictAnswer),
  },
  'GET /api/v1/audit/:sequence': {
    role: 'reader',
    tag: 'audit',
    summary: 'Show one entry.',
    answer: ok(auditEntryAnswer),
    refusals: [404],
  },
  'POST /api/v1/audit/prune': {
    role: 'admin',
    tag: 'audit',
    summary: 'Remove the entries before a time; the trail says so itself, and can still be checked.',
    body: pruneAuditBody,
    answer: ok(z.strictObject({ removed: z.int() })),
  },
};

const operators: Operations = {
  'GET /api/v1/operator': { role: 'reader', tag: 'operators', summary: 'Whose token this is.', answer: ok(operatorAnswer) },
  'GET /api/v1/tokens': { role: 'admin', tag: 'operators', summary: "List operators' tokens.", answer: ok(z.array(tokenAnswer)) },
  'POST /api/v1/tokens': {
    role: 'admin',
    tag: 'operators',
    summary: 'Make a token for an operator.',
    body: createTokenBody,
    answer: ok(newTokenAnswer),
    refusals: [409],
  },
  'DELETE /api/v1/tokens/:id': {
    role: 'admin',
    tag: 'operators',
    summary: 'Revoke a token, by its id or by the name of its operator; it is refused from the next request on.',
    answer: ok(tokenAnswer),
    refusals: [404],
  },
};

const filters = {
  device: 'Of this registration id or device id only.',
  transport: 'Over this transport only.',
  side: 'provisioning or hub.',
};
const tripwires: Operations = {
  'GET /api/v1/tripwires': {
    role: 'reader',
    tag: 'refusals',
    summary: 'List devices that tried to come back after they were shut out, the latest attempt first.',
    query: paging,
    answer: ok(pageOf(tripwireAnswer)),
  },
  'GET /api/v1/tripwires/:device': {
    role: 'reader',
    tag: 'refusals',
    summary: 'Show the attempts of a device, by its registration id, else its device id.',
    answer: ok(tripwireAnswer),
    refusals: [404],
  },
  'GET /api/v1/events': {
    role: 'reader',
    tag: 'refusals',
    summary: 'List what the event webhook is sent, newest first: attempts of devices that are shut out, and readmissions.',
    query: { ...paging, kind: 'tripwire or readmission.' },
    answer: ok(pageOf(eventAnswer)),
  },
};

const refusals: Operations = {
  'GET /api/v1/refusals': {
    role: 'reader',
    tag: 'refusals',
    summary: 'List devices that were not let in, newest first.',
    query: { ...paging, ...filters, since },
    answer: ok(pageOf(refusalAnswer)),
  },
  'GET /api/v1/refusals/stream': {
    role: 'reader',
    tag: 'refusals',
    summary: 'Follow refusals as server-sent events; Last-Event-ID takes a stream up again, and an event fell-behind ends it.',
    query: { ...filters, after: 'Begin behind this sequence number; absent, with the next one.' },
    answer: { status: 200, stream: true, schema: refusalAnswer },
  },
};

export const oversight: Operations = { ...audit, ...operators, ...refusals, ...tripwires };
