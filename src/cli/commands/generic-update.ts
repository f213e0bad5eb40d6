import { isJsonObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { usageError } from '../exit-code.ts';
import type { genericUpdateOptions } from '../grammar/global-options.ts';
import type { ValuesOf } from '../grammar/option.ts';

type GenericUpdate = Pick<ValuesOf<typeof genericUpdateOptions>, 'set' | 'add' | 'remove' | 'forceString'>;
type Container = Json[] | Record<string, Json>;
type Step = string | number;

export function hasGenericUpdate({ set, add, remove }: GenericUpdate): boolean {
  return set.length + add.length + remove.length > 0;
}

/** Applies az's `--set`, `--add` and `--remove` to a copy of an object. Throws a usage error for a path that leads nowhere. */
export function applyGenericUpdate(original: JsonObject, { set, add, remove, forceString }: GenericUpdate): JsonObject {
  const copy = structuredClone(original) as Record<string, Json>;
  const read = (text: string): Json => (forceString === true ? text : looseJson(text));
  for (const assignment of set.flat()) applySet(copy, assignment, read);
  for (const words of add) applyAdd(copy, words, read);
  for (const words of remove) applyRemove(copy, words);
  return copy;
}

function applySet(root: Container, assignment: string, read: (text: string) => Json): void {
  const at = assignment.indexOf('=');
  if (at < 1) throw usageError(`argument --set: '${assignment}' is not of the form property=value.`);
  const { parent, step } = locate(root, assignment.slice(0, at), true);
  write(parent, step, read(assignment.slice(at + 1)));
}

function applyAdd(root: Container, [path = '', ...values]: readonly string[], read: (text: string) => Json): void {
  if (values.length === 0) throw usageError('argument --add: expected a property and what to add to it.');
  const { parent, step } = locate(root, path, true);
  const list = readAt(parent, step) ?? [];
  if (!Array.isArray(list)) throw usageError(`argument --add: '${path}' is not a list.`);
  const pairs = values.filter((value) => /^[\w.-]+=/u.test(value));
  const plain = values.filter((value) => !pairs.includes(value)).map(read);
  const object = Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), read(pair.slice(pair.indexOf('=') + 1))]));
  write(parent, step, [...(list as readonly Json[]), ...plain, ...(pairs.length > 0 ? [object] : [])]);
}

function applyRemove(root: Container, [path = '', index, ...rest]: readonly string[]): void {
  if (rest.length > 0) throw usageError(`argument --remove: expected a property and at most one index, found '${rest.join(' ')}' besides.`);
  const full = index === undefined ? path : `${path}[${index}]`;
  const { parent, step } = locate(root, full, false);
  if (readAt(parent, step) === undefined) throw usageError(`argument --remove: there is no '${full}'.`);
  if (Array.isArray(parent)) parent.splice(Number(step), 1);
  else Reflect.deleteProperty(parent, step);
}

function locate(root: Container, path: string, create: boolean): { readonly parent: Container; readonly step: Step } {
  const steps = parsePath(path);
  let parent = root;
  for (const step of steps.slice(0, -1)) {
    const next = readAt(parent, step) ?? (create ? {} : undefined);
    if (!isContainer(next)) throw usageError(`'${path}' leads nowhere: '${step}' is not an object.`);
    write(parent, step, next);
    parent = next;
  }
  const step = steps.at(-1);
  if (step === undefined) throw usageError(`'${path}' is not a property path such as a.b or a.b[0].`);
  return { parent, step };
}

/** `a.b[0].c` as steps; a name that Object.prototype has is refused, so that no path reaches out of the value. */
function parsePath(path: string): readonly Step[] {
  const steps = path.split('.').flatMap((part): Step[] => {
    const match = /^([^[\]]*)((?:\[\d+\])*)$/u.exec(part);
    const name = match?.[1] ?? '';
    const indexes = [...(match?.[2] ?? '').matchAll(/\d+/gu)].map(([digits]) => Number(digits));
    if (match === null || (name === '' && indexes.length === 0) || name in Object.prototype) return [Number.NaN];
    return name === '' ? indexes : [name, ...indexes];
  });
  if (steps.some((step) => Number.isNaN(step))) throw usageError(`'${path}' is not a property path such as a.b or a.b[0].`);
  return steps;
}

function readAt(container: Container, step: Step): Json | undefined {
  if (Array.isArray(container)) return typeof step === 'number' ? container[step] : undefined;
  return Object.hasOwn(container, step) ? container[String(step)] : undefined;
}

function write(container: Container, step: Step, value: Json): void {
  if (!Array.isArray(container)) container[String(step)] = value;
  else if (typeof step === 'number' && step <= container.length) container[step] = value;
  else throw usageError(`'${step}' is not an index of a list with ${container.length} elements.`);
}

function isContainer(value: Json | undefined): value is Container {
  return Array.isArray(value) || isJsonObject(value);
}

/** JSON where it is JSON, the text itself where it is not; az reads values so. */
function looseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}
