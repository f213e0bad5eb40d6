import { readFile } from 'node:fs/promises';

import { parse, YAMLParseError } from 'yaml';

import { codeOf } from '../client/system-error.ts';
import { failure, usageError } from '../exit-code.ts';
import { isJsonObject, type Json, type JsonObject } from '../../kernel/json.ts';

/** Reads any JSON from the command line, in the same forms as `readJsonObject`. */
export async function readJson(given: string, flag: string): Promise<Json> {
  const file = await fileBehind(given);
  if (file === undefined && !/^\s*[{[\d"tfn-]/u.test(given)) {
    throw usageError(`argument ${flag}: '${shorten(given)}' is neither JSON nor a file that exists.`);
  }
  return parseLoosely(file ?? given, file === undefined ? `argument ${flag}` : `argument ${flag}: the file ${given}`);
}

/**
 * Reads a JSON object from the command line: inline JSON, `@file`, or the path of a file. The quotes of Python
 * (`{'a': 'b'}`) are taken, too, because az takes them and its own help shows them.
 */
export async function readJsonObject(given: string, flag: string): Promise<JsonObject> {
  const value = await readJson(given, flag);
  if (isJsonObject(value)) return value;
  throw usageError(`argument ${flag}: '${shorten(given)}' is not a JSON object.`);
}

async function fileBehind(given: string): Promise<string | undefined> {
  const named = given.startsWith('@');
  if (!named && /^\s*[{[]/u.test(given)) return undefined;
  const path = named ? given.slice(1) : given;
  try {
    return (await readFile(path, 'utf8')).replace(/^\uFEFF/u, '');
  } catch (error) {
    if (named) throw failure(`The file ${path} cannot be read. Check the path.`);
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'EISDIR'].includes(codeOf(error) ?? '')) return undefined;
    throw failure(`The file ${path} cannot be read (${codeOf(error) ?? 'unknown reason'}).`);
  }
}

function parseLoosely(text: string, where: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // Flow style YAML is what JSON becomes with single quotes.
    const loose = /^\s*\{/u.test(text) ? parseYaml(text) : undefined;
    if (loose !== undefined) return loose;
    throw usageError(`${where} is not JSON (${error.message}).`);
  }
}

function parseYaml(text: string): Json | undefined {
  try {
    return parse(text) as Json;
  } catch (error) {
    if (error instanceof YAMLParseError) return undefined;
    throw error;
  }
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
