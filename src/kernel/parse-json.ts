import type { ErrorName } from './error-table.ts';
import type { Json } from './json.ts';
import { locateJsonError } from './locate-json-error.ts';
import { ServiceError } from './service-error.ts';

/** Twins end at depth 10; what nests deeper than this is there to exhaust somebody's stack. */
const maxDepth = 64;

/**
 * Reads a body as JSON, on every wire alike; blank text is `undefined` (SDKs send a single space). Throws `error` with a
 * sentence that says where the mistake is, also for a body that nests without end and for a member named `__proto__`,
 * which no resource has and which merges must never meet.
 */
export function parseJson(body: Uint8Array, error: ErrorName = 'GenericBadRequest'): Json | undefined {
  try {
    return read(body);
  } catch (thrown) {
    if (thrown instanceof Mistake) throw new ServiceError(error, thrown.message);
    throw thrown;
  }
}

/** What is wrong with a body, in a sentence. */
class Mistake extends Error {
  override readonly name = 'Mistake';
}

function read(body: Uint8Array): Json | undefined {
  const text = decodeUtf8(body);
  if (text.trim() === '') return undefined;
  checkDepth(text);
  const value = parse(text);
  if (/__proto__|\\u005f/iu.test(text)) refusePrototype(value);
  return value;
}

function decodeUtf8(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (error) {
    if (error instanceof TypeError) throw new Mistake('The body is not valid UTF-8.');
    throw error;
  }
}

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const { offset, line, column } = locateJsonError(text);
    throw new Mistake(
      `The body is not valid JSON: unexpected ${offset >= text.length ? 'end of text' : 'text'} at position ${String(offset)} (line ${String(line)}, column ${String(column)}).`,
    );
  }
}

function checkDepth(text: string): void {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (quoted) {
      if (character === 0x5c) at += 1;
      else if (character === 0x22) quoted = false;
    } else if (character === 0x22) quoted = true;
    else if (character === 0x7b || character === 0x5b) depth += 1;
    else if (character === 0x7d || character === 0x5d) depth -= 1;
    if (depth > maxDepth) throw new Mistake(`The body nests deeper than ${String(maxDepth)} levels.`);
  }
}

function refusePrototype(value: Json): void {
  if (typeof value !== 'object' || value === null) return;
  if (Object.hasOwn(value, '__proto__')) throw new Mistake('The body has a member named __proto__.');
  for (const member of Object.values<Json>(value)) refusePrototype(member);
}
