import type { IncomingMessage } from 'node:http';

import type { Json } from '../../kernel/json.ts';
import type { CommandContext } from '../context.ts';
import { failure } from '../exit-code.ts';
import { type HttpRequest, type HttpTarget, openRequest, sendRequest } from './http.ts';
import { reasonHeaders } from './reason-headers.ts';
import { readApiToken, readRunningService, type RunningService } from './running-service.ts';
import { serviceFailure } from './service-failure.ts';

export interface ApiRequest {
  readonly method: HttpRequest['method'];
  /** Below `/api/v1`. */
  readonly path: string;
  readonly body?: Json;
  readonly ifMatch?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Muster's own API, on the service of the data folder. */
export interface MusterApi {
  readonly service: RunningService;
  /** The parsed body of a 2xx answer, `null` when it is empty. Throws the failure that the command ends with. */
  send(request: ApiRequest): Promise<Json>;
  /** The answer while it arrives, for server-sent events; of a GET, or of a POST where there is a body. */
  follow(path: string, body?: Json): Promise<IncomingMessage>;
}

export async function openMusterApi(context: CommandContext): Promise<MusterApi> {
  const service = await readRunningService(context);
  const { url } = service.endpoints.api;
  if (url === '') throw failure(`The service of ${context.dataFolder} was started without its API. Start it with '--api-port'.`);
  const target: HttpTarget = { origin: url, authorities: [service.ca] };
  // An operator's own token, with a role of its own, goes before that of the data folder.
  const token = context.environment.env['MUSTER_TOKEN'] || (await readApiToken(context));
  const headersOf = (request: ApiRequest): Readonly<Record<string, string>> => ({
    authorization: `Bearer ${token}`,
    accept: 'application/json',
    'user-agent': 'muster',
    ...reasonHeaders(context),
    ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(request.ifMatch === undefined ? {} : { 'if-match': request.ifMatch }),
    ...request.headers,
  });
  return {
    service,
    send: async (request) => {
      const body = request.body === undefined ? {} : { body: JSON.stringify(request.body) };
      const answer = await sendRequest(target, {
        method: request.method,
        path: `/api/v1${request.path}`,
        headers: headersOf(request),
        ...body,
      });
      context.detail(`${request.method} ${url}/api/v1${request.path} -> ${answer.status}`);
      if (answer.status < 200 || answer.status > 299) throw serviceFailure(answer);
      return answer.body.trim() === '' ? null : (JSON.parse(answer.body) as Json);
    },
    follow: async (path, body) => {
      const request: ApiRequest = body === undefined ? { method: 'GET', path } : { method: 'POST', path, body };
      const { method } = request;
      const headers = { ...headersOf(request), accept: 'text/event-stream' };
      const content = body === undefined ? {} : { body: JSON.stringify(body) };
      const answer = await openRequest(target, { method, path: `/api/v1${path}`, headers, ...content });
      if (answer.statusCode === 200) return answer;
      const chunks = await answer.toArray();
      throw serviceFailure({
        status: answer.statusCode ?? 0,
        headers: answer.headers,
        body: Buffer.concat(chunks as Buffer[]).toString('utf8'),
      });
    },
  };
}
