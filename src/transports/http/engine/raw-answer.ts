import { STATUS_CODES } from 'node:http';
import type { HttpAnswer } from './route.ts';

/** An answer as bytes, for connections on which Node has no response object; it is the last thing sent on them. */
export function renderRawAnswer(answer: HttpAnswer): string {
  const body = JSON.stringify(answer.body ?? {});
  const headers = {
    ...answer.headers,
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${String(answer.status)} ${STATUS_CODES[answer.status] ?? ''}\r\n${lines.join('')}\r\n${body}`;
}
