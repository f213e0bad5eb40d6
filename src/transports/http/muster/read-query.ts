import { limits } from '../../../contracts/limits.ts';
import { type Instant, instant } from '../../../kernel/clock.ts';
import type { PageRequest } from '../../../kernel/page.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { HttpRequest } from '../engine/route.ts';

/** Of a place in a listing, which may be made of several names. */
const keyLength = 1000;

/** Which page of a listing. Throws `GenericBadRequest`. */
export function readPage(request: HttpRequest): PageRequest {
  const text = request.query('top') ?? '';
  const after = readText(request, 'after', keyLength);
  if (text !== '' && !/^\d{1,4}$/u.test(text)) throw bad('top', 'must be a number');
  const top = text === '' ? limits.queryPage : Number(text);
  if (top < 1 || top > limits.queryPageMaximum) throw bad('top', `must be between 1 and ${limits.queryPageMaximum}`);
  return { limit: top, ...(after === undefined ? {} : { after }) };
}

/** `undefined` when it is absent or empty. */
export function readText(request: HttpRequest, name: string, most = 200): string | undefined {
  const text = request.query(name);
  if (text !== undefined && text.length > most) throw bad(name, 'is too long');
  return text === undefined || text === '' ? undefined : text;
}

/** A sequence number. */
export function readSequence(text: string | undefined, name: string): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,15}$/u.test(text)) throw bad(name, 'must be a sequence number');
  return Number(text);
}

export function readMoment(request: HttpRequest, name: string): Instant | undefined {
  const text = readText(request, name);
  if (text === undefined) return undefined;
  const at = /^\d{4}-\d\d-\d\dT.*(?:Z|[+-]\d\d:\d\d)$/iu.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) throw bad(name, 'must be a time as 2026-01-31T12:00:00Z');
  return instant(at);
}

/** One of a set of words, in any case. */
export function readWord<Word extends string>(request: HttpRequest, name: string, words: readonly Word[]): Word | undefined {
  const text = readText(request, name)?.toLowerCase();
  if (text === undefined) return undefined;
  const found = words.find((word) => word === text);
  if (found === undefined) throw bad(name, `must be one of ${words.join(', ')}`);
  return found;
}

function bad(name: string, rule: string): ServiceError {
  return new ServiceError('GenericBadRequest', `The query parameter ${name} ${rule}.`);
}
