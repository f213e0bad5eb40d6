import { z } from 'zod';
import { instant } from '../../../../kernel/clock.ts';
import { errorTable } from '../../../../kernel/error-table.ts';
import type { Json, JsonObject } from '../../../../kernel/json.ts';
import { ServiceError } from '../../../../kernel/service-error.ts';
import { renderMusterError } from '../../errors.ts';
import type { Operation, Operations } from './operation.ts';
import { errorAnswer } from './resource-answers.ts';

/** What every route may answer besides its own refusals. */
const commonRefusals = [400, 401, 403, 429, 500, 503];

const refusalWords: Readonly<Record<number, string>> = {
  400: 'What was asked is not well-formed.',
  401: 'There is no token, or one that is good for nothing.',
  403: 'The role of the token is not enough.',
  404: 'It does not exist.',
  409: 'It exists already, is in use, or would let devices in again.',
  412: 'It was changed by somebody else since; If-Match did not match.',
  429: 'Too many wrong tokens came from this address. Retry-After says how long to wait.',
  500: 'A bug of the service; the tracking id finds it in the log.',
  503: 'The service shuts down, or has more to store than it can keep up with.',
};

/** The OpenAPI 3.1 description of routes, from the very schemas that read their bodies. */
export function describeApi(operations: Operations, version: string): JsonObject {
  const paths: Record<string, Record<string, Json>> = {};
  for (const [route, operation] of Object.entries(operations)) {
    const [method = '', path = ''] = route.split(' ');
    const template = path.replaceAll(/:(\w+)/gu, '{$1}');
    paths[template] = { ...paths[template], [method.toLowerCase()]: describeOperation(operation, { method, path }) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: "Muster's own API",
      version,
      description:
        'What operators do over all provisioning services and hubs. Roles: a reader sees everything but keys, an operator also shuts devices out and lets them in, an admin does everything. x-muster-reason and x-muster-ticket, percent-encoded, go into the audit trail with a change.',
    },
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'The api-token of the data folder, or a token of an operator.' },
      },
      schemas: { Error: schemaOf(errorAnswer, 'output') },
    },
    'x-error-codes': errorCodes(),
  };
}

function describeOperation(
  { role, summary, tag, query = {}, headers = {}, conditional, body, answer, refusals = [] }: Operation,
  { method, path }: { readonly method: string; readonly path: string },
): JsonObject {
  const inPath = [...path.matchAll(/:(\w+)/gu)].map(([, name = '']) => parameter(name, 'path'));
  const inQuery = Object.entries(query).map(([name, description]) => parameter(name, 'query', description));
  const inHeaders = Object.entries(headers).map(([name, description]) => parameter(name, 'header', description));
  const ifMatch = conditional === true ? [parameter('If-Match', 'header', 'The entity tag that the caller knows.')] : [];
  const lastEventId = answer.stream === true ? [parameter('Last-Event-ID', 'header', 'The id of the last event that came.')] : [];
  const isOpen = role === 'anyone';
  const failing = isOpen ? [500, 503] : [...commonRefusals, ...refusals];
  return {
    operationId: operationIdOf(method, path),
    summary,
    tags: [tag],
    'x-muster-role': role,
    ...(isOpen ? { security: [] } : {}),
    parameters: [...inPath, ...inQuery, ...inHeaders, ...ifMatch, ...lastEventId],
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } } }),
    responses: {
      [String(answer.status)]: describeAnswer(answer),
      ...Object.fromEntries(failing.map((status) => [String(status), describeRefusal(status)])),
    },
  };
}

function describeAnswer({ schema, stream }: Operation['answer']): JsonObject {
  if (schema === undefined) return { description: 'Done.' };
  const type = stream === true ? 'text/event-stream' : 'application/json';
  return {
    description: stream === true ? 'Events; the data of each is one of these.' : 'Done.',
    content: { [type]: { schema: schemaOf(schema, 'output') } },
  };
}

function describeRefusal(status: number): JsonObject {
  const retryAfter = { description: 'Seconds to wait.', schema: { type: 'integer' } };
  return {
    description: refusalWords[status] ?? 'Refused.',
    ...(status === 429 || status === 503 ? { headers: { 'Retry-After': retryAfter } } : {}),
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
  };
}

function parameter(name: string, place: 'path' | 'query' | 'header', description?: string): JsonObject {
  return {
    name,
    in: place,
    required: place === 'path',
    ...(description === undefined ? {} : { description }),
    schema: { type: 'string' },
  };
}

/** What a caller sends, before defaults and conversions, or what it gets. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): JsonObject {
  const { $schema: _dialect, ...described } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' });
  // References of a schema count from its own root, which is not that of the document.
  if (described.$defs !== undefined) throw new Error('bug: a schema of the API refers to itself; say it without z.json and z.lazy');
  // It is JSON by what it is for.
  return described as unknown as JsonObject;
}

function operationIdOf(method: string, path: string): string {
  const words = path.replace('/api/v1/', '').split(/[/.:-]+/u);
  return [method.toLowerCase(), ...words].map((word, at) => (at === 0 ? word : word.slice(0, 1).toUpperCase() + word.slice(1))).join('');
}

/** Every code that may stand in an error of this API, with its status. */
function errorCodes(): JsonObject {
  const names = Object.keys(errorTable) as (keyof typeof errorTable)[];
  const rendered = names.map((name) => renderMusterError(new ServiceError(name, ''), { trackingId: '', now: instant(0) }));
  const codes = rendered.map(({ status, body }) => [(body as { readonly error: { readonly code: string } }).error.code, status] as const);
  return Object.fromEntries(codes.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
