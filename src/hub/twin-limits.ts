import { limits } from '../contracts/limits.ts';
import { isJsonObject, type Json, type JsonObject } from '../kernel/json.ts';
import { ServiceError } from '../kernel/service-error.ts';

const keyBytes = 1024;
const stringBytes = 4096;
const smallestInteger = -4503599627370496;
const largestInteger = 4503599627370495;
/** C0 and C1 controls, of which sizes know nothing (twin reference). */
// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u001f\u007f-\u009f]/gu;
// oxlint-disable-next-line no-control-regex
const forbiddenInKeys = /[\u0000-\u001f\u007f-\u009f.$ ]/u;

/**
 * Checks keys, values and depth of what a client wants to write into `section` (`tags`, `properties.desired`, …).
 * Throws `ArgumentInvalid` with the path. To be called before merging: it bounds the recursion of the merge.
 */
export function checkSectionValues(section: string, value: JsonObject): void {
  checkMembers(value, section, 1);
}

/** Checks the size of a whole section after a change. Throws `ArgumentInvalid`. */
export function checkSectionSize(section: string, value: JsonObject, maximumBytes: number): void {
  const size = sizeOf(value);
  if (size > maximumBytes) {
    throw new ServiceError(
      'ArgumentInvalid',
      `The twin's ${section} would have ${size} bytes; at most ${maximumBytes} are allowed. Delete members by setting them to null.`,
    );
  }
}

/** Bytes as the twin reference counts them: keys and strings in UTF-8 without control characters, numbers 8, booleans 4. */
export function sizeOf(value: Json): number {
  if (typeof value === 'string') return countedBytes(value);
  if (typeof value === 'number') return 8;
  if (typeof value === 'boolean' || value === null) return 4;
  if (!isJsonObject(value)) return value.reduce<number>((sum, item) => sum + sizeOf(item), 0);
  return Object.entries(value).reduce((sum, [key, item]) => sum + countedBytes(key) + sizeOf(item), 0);
}

function checkMembers(value: JsonObject, path: string, depth: number): void {
  for (const [key, item] of Object.entries(value)) {
    checkKey(key, path);
    checkValue(item, `${path}.${key}`, depth);
  }
}

function checkValue(value: Json, path: string, depth: number): void {
  if (typeof value === 'string') return checkString(value, path);
  if (typeof value === 'number') return checkNumber(value, path);
  if (typeof value === 'boolean' || value === null) return;
  if (depth > limits.twinDepth) throw invalid(`${shorten(path)} is nested deeper than ${limits.twinDepth} levels.`);
  if (isJsonObject(value)) return checkMembers(value, path, depth + 1);
  for (const [index, item] of value.entries()) checkValue(item, `${path}[${index}]`, depth + 1);
}

function checkKey(key: string, path: string): void {
  if (key === '') throw invalid(`A member of ${shorten(path)} has an empty name.`);
  if (Buffer.byteLength(key) > keyBytes) throw invalid(`A member name in ${shorten(path)} is longer than ${keyBytes} bytes.`);
  if (forbiddenInKeys.test(key)) {
    throw invalid(
      `The member name ${JSON.stringify(key)} in ${shorten(path)} has a character that names must not have: dot, $, space, control.`,
    );
  }
}

function checkString(value: string, path: string): void {
  if (Buffer.byteLength(value) > stringBytes) throw invalid(`The string at ${shorten(path)} is longer than ${stringBytes} bytes.`);
}

function checkNumber(value: number, path: string): void {
  if (!Number.isFinite(value)) throw invalid(`The number at ${shorten(path)} is too large.`);
  if (!Number.isInteger(value)) return;
  if (value < smallestInteger || value > largestInteger) {
    throw invalid(`The integer at ${shorten(path)} is outside ${smallestInteger} to ${largestInteger}.`);
  }
}

const countedBytes = (text: string): number => Buffer.byteLength(text.replace(controls, ''));

// Paths are made of keys of up to 1 KB each; a sentence should stay one.
const shorten = (path: string): string => (path.length <= 120 ? path : `${path.slice(0, 117)}...`);

const invalid = (sentence: string): ServiceError => new ServiceError('ArgumentInvalid', sentence);
