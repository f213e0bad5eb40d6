/** Where a JSON text stops being one: a zero-based offset, and line and column counted from one. */
export interface JsonErrorPlace {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

/**
 * Finds the first character at which a text that `JSON.parse` refused stops being JSON. The engine's own messages
 * name a position only sometimes, and quote the body otherwise.
 */
export function locateJsonError(text: string): JsonErrorPlace {
  const offset = firstMistake(text);
  const before = text.slice(0, offset);
  return { offset, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

/** What may come next; `value?` and `key?` also allow the end of an empty array or object. */
type Expected = 'value' | 'value?' | 'key' | 'key?' | 'colon' | 'separator' | 'end';

const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/uy;
const blank = /[ \t\n\r]*/uy;

function firstMistake(text: string): number {
  const open: ('{' | '[')[] = [];
  let expected: Expected = 'value';
  let at = 0;
  for (;;) {
    at = endOf(blank, text, at) ?? at;
    if (at >= text.length) return at;
    const next = step(text, at, { expected, open });
    if (next === undefined) return at;
    if (next.mistake !== undefined) return next.mistake;
    at = next.at;
    expected = next.expected;
  }
}

interface State {
  readonly expected: Expected;
  readonly open: ('{' | '[')[];
}

interface Step {
  readonly at: number;
  readonly expected: Expected;
  readonly mistake?: number;
}

function step(text: string, at: number, state: State): Step | undefined {
  switch (state.expected) {
    case 'value':
    case 'value?':
      return state.expected === 'value?' && text[at] === ']' ? closeContainer(at, state) : readValue(text, at, state);
    case 'key':
    case 'key?':
      if (state.expected === 'key?' && text[at] === '}') return closeContainer(at, state);
      return text[at] === '"' ? readString(text, at, 'colon') : undefined;
    case 'colon':
      return text[at] === ':' ? { at: at + 1, expected: 'value' } : undefined;
    case 'separator':
      return readSeparator(text, at, state);
    default:
      return undefined;
  }
}

function readValue(text: string, at: number, { open }: State): Step | undefined {
  const after = open.length > 0 ? 'separator' : 'end';
  const character = text[at];
  if (character === '{' || character === '[') {
    open.push(character);
    return { at: at + 1, expected: character === '{' ? 'key?' : 'value?' };
  }
  if (character === '"') return readString(text, at, after);
  const end = endOf(scalar, text, at);
  return end === undefined ? undefined : { at: end, expected: after };
}

function readSeparator(text: string, at: number, state: State): Step | undefined {
  const innermost = state.open.at(-1);
  if (text[at] === ',') return { at: at + 1, expected: innermost === '{' ? 'key' : 'value' };
  return text[at] === (innermost === '{' ? '}' : ']') ? closeContainer(at, state) : undefined;
}

function closeContainer(at: number, { open }: State): Step {
  open.pop();
  return { at: at + 1, expected: open.length > 0 ? 'separator' : 'end' };
}

function readString(text: string, start: number, after: Expected): Step {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '"') return { at: at + 1, expected: after };
    if (text.charCodeAt(at) < 0x20) return { at, expected: after, mistake: at };
    if (text[at] !== '\\') continue;
    const escape = /["\\/bfnrt]|u[0-9a-fA-F]{4}/uy;
    const end = endOf(escape, text, at + 1);
    if (end === undefined) return { at, expected: after, mistake: at };
    at = end - 1;
  }
  return { at: text.length, expected: after, mistake: text.length };
}

function endOf(expression: RegExp, text: string, at: number): number | undefined {
  expression.lastIndex = at;
  return expression.test(text) ? expression.lastIndex : undefined;
}
