import type { JsonObject } from '../../kernel/json.ts';

export type Literal = string | number | boolean | null;
export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=';
export const textFunctions = ['STARTSWITH', 'ENDSWITH', 'CONTAINS'] as const;
export type TextFunction = (typeof textFunctions)[number];

/** A member of the resource, from the outside in: `initialTwin.tags.site`. */
export type MemberPath = readonly [string, ...string[]];

/** What a `WHERE` asks for. */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly part: Condition }
  | { readonly kind: 'compare'; readonly path: MemberPath; readonly operator: Comparison; readonly value: Literal }
  | { readonly kind: 'in'; readonly path: MemberPath; readonly values: readonly Literal[] }
  | { readonly kind: 'text'; readonly name: TextFunction; readonly path: MemberPath; readonly value: string }
  | { readonly kind: 'defined'; readonly path: MemberPath };

/** The members that a kind of resource has, and how two of them compare. */
export interface Shape {
  readonly members: readonly string[];
  /** Compared without case, as ids and host names are. */
  readonly caseless: ReadonlySet<string>;
  /** Compared as moments: their texts have seven digits behind the second. */
  readonly moments: ReadonlySet<string>;
}

export type Predicate = (resource: JsonObject) => boolean;

/** What tells whether a resource meets a condition. Where a member is absent, or of another type than the value, nothing but `!=` and NOT is met. */
export function compileCondition(condition: Condition, shape: Shape): Predicate {
  switch (condition.kind) {
    case 'and': {
      const parts = condition.parts.map((part) => compileCondition(part, shape));
      return (resource) => parts.every((meets) => meets(resource));
    }
    case 'or': {
      const parts = condition.parts.map((part) => compileCondition(part, shape));
      return (resource) => parts.some((meets) => meets(resource));
    }
    case 'not': {
      const meets = compileCondition(condition.part, shape);
      return (resource) => !meets(resource);
    }
    case 'defined':
      return (resource) => memberAt(resource, condition.path) !== undefined;
    default: {
      const read = (value: unknown) => comparable(value, condition.path, shape);
      const test = compileTest(condition, read);
      return (resource) => test(read(memberAt(resource, condition.path)));
    }
  }
}

type MemberCondition = Extract<Condition, { readonly kind: 'compare' | 'in' | 'text' }>;

/** Literals are converted here, once, and not for every resource. */
function compileTest(condition: MemberCondition, read: (value: unknown) => unknown): (found: unknown) => boolean {
  if (condition.kind === 'in') {
    const wanted = new Set(condition.values.map(read));
    return (found) => wanted.has(found);
  }
  const wanted = read(condition.value);
  if (condition.kind === 'text') {
    return (found) => typeof found === 'string' && typeof wanted === 'string' && testText(condition.name, found, wanted);
  }
  const { operator } = condition;
  if (operator === '=') return (found) => found === wanted;
  if (operator === '!=') return (found) => found !== wanted;
  return (found) => {
    const isOrdered = typeof found === typeof wanted && (typeof found === 'number' || typeof found === 'string');
    return isOrdered && testOrder(operator, found as number, wanted as number);
  };
}

function testText(name: TextFunction, text: string, part: string): boolean {
  if (name === 'STARTSWITH') return text.startsWith(part);
  return name === 'ENDSWITH' ? text.endsWith(part) : text.includes(part);
}

function testOrder(operator: Exclude<Comparison, '=' | '!='>, a: number, b: number): boolean {
  if (operator === '<') return a < b;
  if (operator === '<=') return a <= b;
  return operator === '>' ? a > b : a >= b;
}

/** Members that are not there read as `undefined`, which no literal equals. */
function memberAt(resource: JsonObject, path: MemberPath): unknown {
  let value: unknown = resource;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

function comparable(value: unknown, [member, ...inner]: MemberPath, { caseless, moments }: Shape): unknown {
  if (typeof value !== 'string' || inner.length > 0) return value;
  if (moments.has(member)) return Date.parse(value);
  return caseless.has(member) ? value.toLowerCase() : value;
}
