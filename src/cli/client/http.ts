import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';

import { failure } from '../exit-code.ts';
import { lookupName } from './local-names.ts';
import { explainConnection } from './system-error.ts';

/** Where requests go and whom to trust there. */
export interface HttpTarget {
  /** `https://host[:port]` */
  readonly origin: string;
  readonly authorities: readonly string[];
}

export interface HttpRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** How long the service may take; a minute unless told otherwise. */
  readonly answerSeconds?: number;
  /** For devices, which prove themselves by a client certificate. PEM. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: string };
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const answerMilliseconds = 60_000;
// No answer of the service comes near this.
const maxAnswerBytes = 64 * 1024 * 1024;

/** Sends one request and reads its whole answer, whatever its status. Throws a sentence when there is no answer. */
export async function sendRequest(target: HttpTarget, request: HttpRequest): Promise<HttpAnswer> {
  const answer = await openRequest(target, request);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxAnswerBytes) throw failure(`${target.origin} answers with more than ${maxAnswerBytes} bytes.`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Error && 'exitCode' in error ? error : failure(explainConnection(error, target.origin));
  }
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString('utf8') };
}

/** Sends one request and hands over the answer while it is still arriving; for server-sent events. */
export function openRequest(target: HttpTarget, request: HttpRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = createRequest(target, request);
    sent.once('response', resolve);
    sent.once('error', (error) => reject(failure(explainConnection(error, target.origin))));
    const patience = request.answerSeconds === undefined ? answerMilliseconds : request.answerSeconds * 1000;
    sent.setTimeout(patience, () => sent.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })));
    sent.end(request.body);
  });
}

function createRequest(target: HttpTarget, { method, path, headers, body, clientCertificate }: HttpRequest): ClientRequest {
  const url = new URL(path, target.origin);
  const length =
    method === 'GET' && body === undefined ? {} : { 'content-length': String(body === undefined ? 0 : Buffer.byteLength(body)) };
  const options = { method, headers: { ...headers, ...length }, lookup: lookupName, agent: false } as const;
  if (url.protocol === 'http:') return requestPlain(url, options);
  const identity = clientCertificate === undefined ? {} : { cert: clientCertificate.certificate, key: clientCertificate.key };
  return requestTls(url, { ...options, ...identity, ca: [...target.authorities] });
}
