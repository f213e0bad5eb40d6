import { randomUUID } from 'node:crypto';

import type { ServiceConnectionString } from '../../contracts/connection-string.ts';
import type { Json } from '../../kernel/json.ts';
import type { CommandContext } from '../context.ts';
import { failure } from '../exit-code.ts';
import { type HttpAnswer, type HttpRequest, type HttpTarget, sendRequest } from './http.ts';
import { signConnectionString } from './sas-token.ts';
import { reasonHeaders } from './reason-headers.ts';
import { serviceFailure } from './service-failure.ts';

/** A request to a service API; `ifMatch` and `headers` go out as they are. */
export interface ServiceRequest {
  readonly method: HttpRequest['method'];
  /** Path without the api-version. */
  readonly path: string;
  /** Beside the api-version, with its ampersand in between. */
  readonly query?: string;
  readonly body?: Json;
  /** Instead of `body`: bytes as they are. */
  readonly bytes?: Uint8Array;
  readonly answerSeconds?: number;
  readonly ifMatch?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Speaks a service API with a policy key. Every method throws the failure that the command ends with. */
export interface ServiceClient {
  /** Host name of the service, as `device-identity show` reports it. */
  readonly hostName: string;
  /** The parsed body of a 2xx answer, `undefined` when it is empty. */
  send(request: ServiceRequest): Promise<Json | undefined>;
  /** The whole 2xx answer. */
  exchange(request: ServiceRequest): Promise<HttpAnswer>;
  /** All pages of a query, at most `top` items. */
  query(request: ServiceRequest, top?: number): Promise<readonly Json[]>;
}

export function createServiceClient(deps: {
  readonly connection: ServiceConnectionString;
  readonly target: HttpTarget;
  readonly apiVersion: string;
  readonly context: Pick<CommandContext, 'detail' | 'environment'>;
}): ServiceClient {
  const { connection, target, apiVersion, context } = deps;

  async function exchange(request: ServiceRequest): Promise<HttpAnswer> {
    const path = `${request.path}?api-version=${apiVersion}${request.query === undefined ? '' : `&${request.query}`}`;
    const headers = {
      ...baseHeaders(signConnectionString(connection, Date.now())),
      ...reasonHeaders(context),
      ...(request.body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
      ...(request.ifMatch === undefined ? {} : { 'if-match': request.ifMatch }),
      ...request.headers,
    };
    const body = request.body === undefined ? request.bytes : JSON.stringify(request.body);
    const { method, answerSeconds } = request;
    const answer = await sendRequest(target, {
      method,
      path,
      headers,
      ...(body === undefined ? {} : { body }),
      ...(answerSeconds === undefined ? {} : { answerSeconds }),
    });
    context.detail(`${request.method} ${target.origin}${path} -> ${answer.status}`);
    if (answer.status < 200 || answer.status > 299) throw serviceFailure(answer);
    return answer;
  }

  return {
    hostName: connection.hostName.replace(/:\d+$/u, ''),
    exchange,
    send: async (request) => parseBody(await exchange(request), target.origin),
    query: async (request, top = Number.POSITIVE_INFINITY) => {
      const items: Json[] = [];
      let continuation: string | undefined;
      for (let left = top; left > 0; left = continuation === undefined ? 0 : top - items.length) {
        const answer = await exchange({ ...request, headers: { ...request.headers, ...pageHeaders(continuation, left) } });
        const page = parseBody(answer, target.origin);
        if (!Array.isArray(page)) throw failure(`${target.origin} answered a query with something that is not a list.`);
        items.push(...(page as readonly Json[]));
        continuation = header(answer, 'x-ms-continuation');
      }
      return items.slice(0, top);
    },
  };
}

/** What az sends with every request, except for its name. */
function baseHeaders(authorization: string): Readonly<Record<string, string>> {
  return {
    authorization,
    accept: 'application/json',
    'accept-language': 'en-US',
    'user-agent': 'muster',
    'x-ms-client-request-id': randomUUID(),
  };
}

function pageHeaders(continuation: string | undefined, items: number): Readonly<Record<string, string>> {
  return {
    'cache-control': 'no-cache, must-revalidate',
    ...(items === Number.POSITIVE_INFINITY ? {} : { 'x-ms-max-item-count': String(items) }),
    ...(continuation === undefined ? {} : { 'x-ms-continuation': continuation }),
  };
}

function header(answer: HttpAnswer, name: string): string | undefined {
  const value = answer.headers[name];
  const first = Array.isArray(value) ? value[0] : value;
  return first === '' ? undefined : first;
}

function parseBody(answer: HttpAnswer, origin: string): Json | undefined {
  if (answer.body.trim() === '') return undefined;
  try {
    return JSON.parse(answer.body) as Json;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw failure(`${origin} answered ${answer.status} with something that is not JSON. Is it a provisioning service or hub?`);
  }
}
