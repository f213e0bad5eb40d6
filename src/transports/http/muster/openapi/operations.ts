import { z } from 'zod';
import { createTokenBody, pruneAuditBody } from '../audit-bodies.ts';
import {
  certificateBody,
  createPolicyBody,
  createResourceBody,
  linkedHubBody,
  proofBody,
  renewKeyBody,
  updateInstanceBody,
  updatePolicyBody,
} from '../bodies.ts';
import { blockBody, deprovisionBody, explainBody, reinstateBody, runBody } from '../fleet-bodies.ts';
import {
  auditEntryAnswer,
  auditHeadAnswer,
  auditVerdictAnswer,
  newTokenAnswer,
  operatorAnswer,
  refusalAnswer,
  tokenAnswer,
} from './audit-answers.ts';
import { blockAnswer, explanationAnswer, receiptAnswer, runAnswer, runItemAnswer } from './fleet-answers.ts';
import type { Operation, Operations } from './operation.ts';
import {
  certificateAnswer,
  decisionAnswer,
  healthAnswer,
  hubAnswer,
  hubPolicyAnswer,
  instanceAnswer,
  pageOf,
  policyAnswer,
} from './resource-answers.ts';

const ok = (schema: z.ZodType): Operation['answer'] => ({ status: 200, schema });
const none: Operation['answer'] = { status: 204 };

const paging = { top: 'At most so many, from 1 to 1000; 100 unless it says otherwise.', after: 'What the page before gave as next.' };
const since = 'From this time on (RFC 3339).';

const service: Operations = {
  'GET /api/v1/health': { role: 'anyone', tag: 'service', summary: 'Whether the service is there.', answer: ok(healthAnswer) },
  'GET /api/v1/openapi.json': {
    role: 'reader',
    tag: 'service',
    summary: 'This description.',
    answer: ok(z.record(z.string(), z.unknown())),
  },
  'GET /api/v1/decisions/:trackingId': {
    role: 'reader',
    tag: 'service',
    summary: 'Why a device got the answer that it got, by its tracking id or operation id.',
    answer: ok(decisionAnswer),
    refusals: [404],
  },
};

const dps = '/api/v1/dps';
const provisioning: Operations = {
  [`GET ${dps}`]: { role: 'reader', tag: 'provisioning', summary: 'List provisioning services.', answer: ok(z.array(instanceAnswer)) },
  [`POST ${dps}`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Create a provisioning service.',
    body: createResourceBody,
    answer: ok(instanceAnswer),
    refusals: [409],
  },
  [`GET ${dps}/:name`]: {
    role: 'reader',
    tag: 'provisioning',
    summary: 'Show a provisioning service.',
    answer: ok(instanceAnswer),
    refusals: [404],
  },
  [`PATCH ${dps}/:name`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Change the allocation policy or the IP filter of a provisioning service.',
    body: updateInstanceBody,
    conditional: true,
    answer: ok(instanceAnswer),
    refusals: [404, 412],
  },
  [`PUT ${dps}/:name/linked-hubs/:hostName`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Link a hub, or change how it is linked.',
    body: linkedHubBody,
    conditional: true,
    answer: ok(instanceAnswer),
    refusals: [404, 412],
  },
  [`DELETE ${dps}/:name/linked-hubs/:hostName`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Unlink a hub.',
    conditional: true,
    answer: ok(instanceAnswer),
    refusals: [404, 412],
  },
  [`GET ${dps}/:name/policies`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'List shared access policies, keys included.',
    answer: ok(z.array(policyAnswer)),
    refusals: [404],
  },
  [`POST ${dps}/:name/policies`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Create a shared access policy.',
    body: createPolicyBody,
    conditional: true,
    answer: ok(policyAnswer),
    refusals: [404, 409, 412],
  },
  [`GET ${dps}/:name/policies/:keyName`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Show a shared access policy, keys included.',
    answer: ok(policyAnswer),
    refusals: [404],
  },
  [`PATCH ${dps}/:name/policies/:keyName`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Change the rights or the keys of a shared access policy.',
    body: updatePolicyBody,
    conditional: true,
    answer: ok(policyAnswer),
    refusals: [404, 412],
  },
  [`POST ${dps}/:name/policies/:keyName/renew-key`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Renew or swap the keys of a shared access policy.',
    body: renewKeyBody,
    conditional: true,
    answer: ok(policyAnswer),
    refusals: [404, 412],
  },
  [`DELETE ${dps}/:name/policies/:keyName`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Delete a shared access policy.',
    conditional: true,
    answer: none,
    refusals: [404, 412],
  },
  [`GET ${dps}/:name/certificates`]: {
    role: 'reader',
    tag: 'provisioning',
    summary: 'List CA certificates.',
    answer: ok(z.array(certificateAnswer)),
    refusals: [404],
  },
  [`GET ${dps}/:name/certificates/:cert`]: {
    role: 'reader',
    tag: 'provisioning',
    summary: 'Show a CA certificate.',
    answer: ok(certificateAnswer),
    refusals: [404],
  },
  [`PUT ${dps}/:name/certificates/:cert`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Upload a CA certificate, or replace one.',
    query: { force: 'true: although a disabled group refers to the certificate, whose devices it would let in again.' },
    body: certificateBody,
    conditional: true,
    answer: ok(certificateAnswer),
    refusals: [404, 409, 412],
  },
  [`DELETE ${dps}/:name/certificates/:cert`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Delete a CA certificate.',
    query: { force: 'true: although a disabled group refers to the certificate, whose devices it would let in again.' },
    conditional: true,
    answer: none,
    refusals: [404, 409, 412],
  },
  [`POST ${dps}/:name/certificates/:cert/generate-verification-code`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Make a code by which the holder of a CA key can prove to have it.',
    conditional: true,
    answer: ok(certificateAnswer),
    refusals: [404, 412],
  },
  [`POST ${dps}/:name/certificates/:cert/verify`]: {
    role: 'admin',
    tag: 'provisioning',
    summary: 'Prove possession of the CA key with a certificate that has the code as common name.',
    body: proofBody,
    conditional: true,
    answer: ok(certificateAnswer),
    refusals: [404, 412],
  },
};

const hubs: Operations = {
  'GET /api/v1/hubs': { role: 'reader', tag: 'hubs', summary: 'List hubs.', answer: ok(z.array(hubAnswer)) },
  'POST /api/v1/hubs': {
    role: 'admin',
    tag: 'hubs',
    summary: 'Create a hub.',
    body: createResourceBody,
    answer: ok(hubAnswer),
    refusals: [409],
  },
  'GET /api/v1/hubs/:name': { role: 'reader', tag: 'hubs', summary: 'Show a hub.', answer: ok(hubAnswer), refusals: [404] },
  'GET /api/v1/hubs/:name/policies': {
    role: 'admin',
    tag: 'hubs',
    summary: 'List the shared access policies of a hub, keys included.',
    answer: ok(z.array(hubPolicyAnswer)),
    refusals: [404],
  },
  'POST /api/v1/hubs/:name/policies/:keyName/renew-key': {
    role: 'admin',
    tag: 'hubs',
    summary: 'Renew or swap the keys of a shared access policy of a hub; what the old keys let in ends.',
    body: renewKeyBody,
    answer: ok(hubPolicyAnswer),
    refusals: [404],
  },
  'GET /api/v1/hubs/:name/events': {
    role: 'operator',
    tag: 'hubs',
    summary: 'Follow what devices send, as server-sent events; Last-Event-ID takes a stream up again.',
    query: { after: 'Begin behind this sequence number.', deviceId: 'Of this device only.' },
    answer: {
      status: 200,
      stream: true,
      schema: z.strictObject({
        sequenceNumber: z.int(),
        deviceId: z.string(),
        enqueuedAt: z.iso.datetime(),
        source: z.string(),
        systemProperties: z.record(z.string(), z.string()),
        applicationProperties: z.record(z.string(), z.string()),
        body: z.string().describe('base64'),
      }),
    },
    refusals: [404],
  },
};

const fleet: Operations = {
  'POST /api/v1/deprovision': {
    role: 'operator',
    tag: 'fleet',
    summary: 'Shut a device out everywhere, in one transaction, with a receipt.',
    body: deprovisionBody,
    answer: ok(receiptAnswer),
    refusals: [404],
  },
  'POST /api/v1/reinstate': {
    role: 'operator',
    tag: 'fleet',
    summary: 'Undo what the receipts of a device say.',
    body: reinstateBody,
    answer: ok(receiptAnswer),
    refusals: [404],
  },
  'POST /api/v1/explain': {
    role: 'reader',
    tag: 'fleet',
    summary: 'Why a device is let in or refused.',
    body: explainBody,
    answer: ok(explanationAnswer),
    refusals: [404],
  },
  'GET /api/v1/receipts': {
    role: 'reader',
    tag: 'fleet',
    summary: 'List receipts, newest first.',
    query: { top: paging.top, device: 'Of this device only.' },
    answer: ok(z.array(receiptAnswer)),
  },
  'GET /api/v1/receipts/:id': { role: 'reader', tag: 'fleet', summary: 'Show a receipt.', answer: ok(receiptAnswer), refusals: [404] },
  'GET /api/v1/blocks': { role: 'reader', tag: 'fleet', summary: 'List blocks.', query: paging, answer: ok(pageOf(blockAnswer)) },
  'POST /api/v1/blocks': {
    role: 'operator',
    tag: 'fleet',
    summary: 'Refuse whoever presents a key, a certificate or an id.',
    body: blockBody,
    answer: ok(blockAnswer),
  },
  'GET /api/v1/blocks/:id': { role: 'reader', tag: 'fleet', summary: 'Show a block.', answer: ok(blockAnswer), refusals: [404] },
  'DELETE /api/v1/blocks/:id': { role: 'operator', tag: 'fleet', summary: 'Lift a block.', answer: none, refusals: [404] },
  'POST /api/v1/runs': {
    role: 'operator',
    tag: 'fleet',
    summary: 'Shut many devices out, each in its own transaction.',
    body: runBody,
    answer: { status: 202, schema: runAnswer },
  },
  'GET /api/v1/runs': {
    role: 'reader',
    tag: 'fleet',
    summary: 'List runs, newest first.',
    query: { top: paging.top },
    answer: ok(z.array(runAnswer)),
  },
  'GET /api/v1/runs/:id': { role: 'reader', tag: 'fleet', summary: 'Show a run.', answer: ok(runAnswer), refusals: [404] },
  'GET /api/v1/runs/:id/items': {
    role: 'reader',
    tag: 'fleet',
    summary: 'List the devices of a run.',
    query: paging,
    answer: ok(pageOf(runItemAnswer)),
    refusals: [404],
  },
};

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

/** Every route of Muster's own API: whom it is for, and what it takes and answers. */
export const operations: Operations = { ...service, ...provisioning, ...hubs, ...fleet, ...audit, ...operators, ...refusals };
