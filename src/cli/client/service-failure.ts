import { isJsonObject, type Json } from '../../kernel/json.ts';
import { CliFailure, exitCodes } from '../exit-code.ts';
import type { HttpAnswer } from './http.ts';

/** The failure that a refused request ends a command with; 404 has an exit code of its own. */
export function serviceFailure(answer: HttpAnswer): CliFailure {
  const exitCode = answer.status === 404 ? exitCodes.notFound : exitCodes.failure;
  return new CliFailure(exitCode, describeRefusal(answer, adviceFor(answer)));
}

/** The words of a refusal with its numbers, advice if there is any, and the tracking id. */
export function describeRefusal(answer: HttpAnswer, advice = ''): string {
  const { code, message, trackingId } = readRefusal(answer);
  const numbers = [String(answer.status), ...(code === undefined || code === String(answer.status) ? [] : [code])].join(', ');
  const tracking = trackingId === undefined ? '' : ` Tracking id: ${trackingId}.`;
  const sentence = message === undefined ? 'The service refused the request' : message.replace(/\.$/u, '');
  return `${sentence} (${numbers}).${advice}${tracking}`;
}

interface Refusal {
  readonly code?: string;
  readonly message?: string;
  readonly trackingId?: string;
}

/** Reads the error bodies of the three APIs: provisioning (`errorCode`), hub (`Message`), Muster (`error`). */
function readRefusal(answer: HttpAnswer): Refusal {
  const body = parse(answer.body);
  if (!isJsonObject(body)) return {};
  if (isJsonObject(body['error'])) return pick(body['error'], { code: 'code', message: 'message', trackingId: 'trackingId' });
  if (body['errorCode'] !== undefined) return pick(body, { code: 'errorCode', message: 'message', trackingId: 'trackingId' });
  const words = body['Message'] ?? body['message'];
  if (typeof words !== 'string') return {};
  const code = /ErrorCode:\s*([A-Za-z]+)/u.exec(words)?.[1];
  const trackingId = /tracking id\s*:\s*([0-9a-f]+(?:-[0-9a-f]+)*)/iu.exec(`${words} ${text(body['ExceptionMessage']) ?? ''}`)?.[1];
  const message = words.replace(/^ErrorCode:\s*[A-Za-z]+;?\s*/u, '').trim();
  return {
    ...(code === undefined ? {} : { code }),
    ...(trackingId === undefined ? {} : { trackingId }),
    message: message === '' ? words : message,
  };
}

function pick(source: Readonly<Record<string, Json>>, names: Readonly<Record<'code' | 'message' | 'trackingId', string>>): Refusal {
  const entries = Object.entries(names).map(([field, name]) => [field, text(source[name])] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function text(value: Json | undefined): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Its code in the bodies of provisioning, and in those of Muster. */
const wouldReadmit: ReadonlySet<string | undefined> = new Set(['409900', 'WouldReadmit']);

function adviceFor(answer: HttpAnswer): string {
  const { status } = answer;
  if (status === 409 && wouldReadmit.has(readRefusal(answer).code)) return ' Give --readmit if that is meant.';
  // Muster's own API says itself what token it wants, and of what role.
  if (status === 401) return isOwnApi(answer) ? ' Check MUSTER_TOKEN.' : ' Check the policy name and key, and the clock of this machine.';
  if (status === 403) return isOwnApi(answer) ? '' : ' Use a policy that has the right for this.';
  if (status === 412) return ' Read it again and use its new etag.';
  if (status === 429 || status === 503) return ' Wait a moment and try again.';
  return '';
}

/** By the shape of its refusals: `error`, with a code and words. */
function isOwnApi({ body }: HttpAnswer): boolean {
  const parsed = parse(body);
  return isJsonObject(parsed) && isJsonObject(parsed['error']);
}

function parse(body: string): Json | undefined {
  try {
    return JSON.parse(body) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
