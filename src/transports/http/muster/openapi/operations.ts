import { z } from 'zod';
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
import { blockAnswer, explanationAnswer, receiptAnswer, runAnswer, runItemAnswer } from './fleet-answers.ts';
import type { Operations } from './operation.ts';
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

import { none, ok, paging } from './operation-parts.ts';
import { oversight } from './oversight-operations.ts';
import { whatIf } from './what-if-operations.ts';

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

/** Every route of Muster's own API: whom it is for, and what it takes and answers. */
export const operations: Operations = { ...service, ...provisioning, ...hubs, ...fleet, ...whatIf, ...oversight };
