import type { AuditResource, Change } from '../../audit/change.ts';
import { canonicalJson } from '../../audit/canonical-json.ts';
import type { JsonObject } from '../../kernel/json.ts';

/** What an operation changes: looked at before it and after it. Secrets are masked in what the looks show. */
export interface Watched {
  readonly resource: AuditResource;
  /** `undefined` when there is nothing. Entity tags belong in here where a write of the same again is a change, too. */
  readonly look: () => Promise<JsonObject | undefined>;
  /** What it looks like afterwards, where that is known without another look. */
  readonly after?: () => JsonObject | undefined;
  /** What goes with it when it is removed, as it is before that. */
  readonly along?: () => Promise<readonly Removed[]>;
}

export interface Removed {
  readonly resource: AuditResource;
  readonly before: JsonObject;
}

/**
 * What each operation of a port is: `read` changes nothing; `data` writes what devices send, what is derived, or what is only
 * progress, and is no change in the sense of the audit trail; a function says what is changed, and the change is recorded.
 * A port that gets another operation does not compile until somebody has decided which it is.
 */
export type Plan<Port> = { readonly [Name in keyof Port]: 'read' | 'data' | Watcher<Port, Name> };

export type Watcher<Port, Name extends keyof Port> = Port[Name] extends (...args: infer Args) => Promise<unknown>
  ? (port: Port, ...args: Args) => Watched
  : never;

/** Records what the watched operations of a port change, whoever calls them. */
export function audited<Port extends object>(port: Port, plan: Plan<Port>, record: (change: Change) => void): Port {
  const watched = Object.entries(plan).flatMap(([name, watch]) =>
    typeof watch === 'function' ? [[name, operation(port, { name, watch: watch as AnyWatcher, record })] as const] : [],
  );
  return { ...port, ...Object.fromEntries(watched) };
}

type AnyWatcher = (port: object, ...args: readonly unknown[]) => Watched;
type AnyOperation = (...args: readonly unknown[]) => Promise<unknown>;

function operation(
  port: object,
  { name, watch, record }: { readonly name: string; readonly watch: AnyWatcher; readonly record: (change: Change) => void },
): AnyOperation {
  const perform = (port as Readonly<Record<string, AnyOperation>>)[name];
  if (perform === undefined) throw new Error(`the port has no operation ${name}`);
  return async (...args) => {
    const { resource, look, after: known, along } = watch(port, ...args);
    const before = await look();
    const taken = (await along?.()) ?? [];
    const result = await perform(...args);
    const change = difference(resource, before, known === undefined ? await look() : known());
    if (change !== undefined) record(change);
    for (const { resource: other, before: was } of taken) record({ action: `${other.kind}.delete`, resource: other, before: was });
    return result;
  };
}

/** `undefined` when nothing is different. Of an update only the members that are. */
function difference(resource: AuditResource, before: JsonObject | undefined, after: JsonObject | undefined): Change | undefined {
  if (before === undefined) return after === undefined ? undefined : { action: `${resource.kind}.create`, resource, after };
  if (after === undefined) return { action: `${resource.kind}.delete`, resource, before };
  const changed = new Set([...Object.keys(before), ...Object.keys(after)].filter((name) => !isSame(before[name], after[name])));
  if (changed.size === 0) return undefined;
  const only = (view: JsonObject): JsonObject => Object.fromEntries(Object.entries(view).filter(([name]) => changed.has(name)));
  return { action: `${resource.kind}.update`, resource, before: only(before), after: only(after) };
}

function isSame(a: JsonObject[string] | undefined, b: JsonObject[string] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return canonicalJson(a) === canonicalJson(b);
}

/** Nothing is there before what an insert makes; the store refuses it otherwise. */
export const nothing = (): Promise<undefined> => Promise.resolve(undefined);
export const gone = (): undefined => undefined;

/** A value as JSON, without members that are `undefined`. */
export function view(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}
