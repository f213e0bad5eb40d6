import { limits } from '../../contracts/limits.ts';
import { type Comparison, type Condition, type Literal, type MemberPath, type Shape, textFunctions } from './condition.ts';
import { queryError, type Token, tokenize } from './tokens.ts';

/**
 * Reads a query of the service API. Azure ignores its text (4.4), and its clients send `SELECT *`, `SELECT * FROM enrollments`
 * or `*`; here a `WHERE` is honoured:
 *
 *     query      = [ "SELECT" ] "*" [ "FROM" name ] [ "WHERE" or ]
 *     or         = and { "OR" and }
 *     and        = not { "AND" not }
 *     not        = "NOT" not | "(" or ")" | "IS_DEFINED" "(" member ")" | text "(" member "," string ")"
 *                | member ( "=" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) literal | member [ "NOT" ] "IN" "[" literal { "," literal } "]"
 *     text       = "STARTSWITH" | "ENDSWITH" | "CONTAINS"
 *     member     = name { "." name }
 *     literal    = string | number | "true" | "false" | "null"
 *
 * Which resources are listed is said by the address, so that what stands after FROM is not looked at. Words are read without
 * case. Returns `undefined` when every resource is meant; throws `DpsBadRequest` with a sentence that says what is understood.
 */
export function parseQuery(text: string | undefined, shape: Shape): Condition | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  if (text.length > limits.queryCharacters) throw queryError(`it is longer than ${limits.queryCharacters} characters`);
  const reader = new QueryReader(tokenize(text), shape);
  return reader.query();
}

/** What stands after FROM, for a query whose address does not say what it lists; `undefined` where nothing does. */
export function readCollection(text: string): string | undefined {
  const tokens = tokenize(text.slice(0, limits.queryCharacters));
  const star = tokens.findIndex(({ kind, text: sign }) => kind === 'sign' && sign === '*');
  const [from, name] = tokens.slice(star + 1, star + 3);
  const isFrom = star >= 0 && from?.kind === 'word' && from.text.toUpperCase() === 'FROM';
  return isFrom && name?.kind === 'word' ? name.text : undefined;
}

const operators: Readonly<Record<string, Comparison>> = { '=': '=', '!=': '!=', '<>': '!=', '<': '<', '<=': '<=', '>': '>', '>=': '>=' };

class QueryReader {
  readonly #tokens: readonly Token[];
  readonly #shape: Shape;
  #at = 0;
  #conditions = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], shape: Shape) {
    this.#tokens = tokens;
    this.#shape = shape;
  }

  query(): Condition | undefined {
    this.#takeWord('SELECT');
    this.#expect('*');
    if (this.#takeWord('FROM')) this.#name();
    const condition = this.#takeWord('WHERE') ? this.#or() : undefined;
    if (this.#at < this.#tokens.length) throw this.#unexpected(condition === undefined ? 'WHERE or the end' : 'AND, OR or the end');
    return condition;
  }

  #or(): Condition {
    return this.#list('or', 'OR', () => this.#and());
  }

  #and(): Condition {
    return this.#list('and', 'AND', () => this.#not());
  }

  #list(kind: 'and' | 'or', word: string, part: () => Condition): Condition {
    const parts = [part()];
    while (this.#takeWord(word)) parts.push(part());
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : { kind, parts };
  }

  #not(): Condition {
    this.#depth += 1;
    if (this.#depth > limits.queryDepth) throw queryError(`it is nested deeper than ${limits.queryDepth} levels`);
    const condition = this.#takeWord('NOT') ? ({ kind: 'not', part: this.#not() } as const) : this.#primary();
    this.#depth -= 1;
    return condition;
  }

  #primary(): Condition {
    if (this.#take('(')) {
      const inner = this.#or();
      this.#expect(')');
      return inner;
    }
    this.#countCondition();
    return this.#call() ?? this.#comparison();
  }

  /** Each item of a list is one more, after the first. */
  #countCondition(): void {
    this.#conditions += 1;
    if (this.#conditions <= limits.queryConditions) return;
    throw queryError(`it has more than ${limits.queryConditions} conditions and items of lists`);
  }

  /** A function, which is told from a member of the same name by its parenthesis. */
  #call(): Condition | undefined {
    if (this.#tokens[this.#at + 1]?.text !== '(') return undefined;
    const name = this.#name().toUpperCase();
    this.#expect('(');
    const path = this.#member();
    if (name === 'IS_DEFINED') {
      this.#expect(')');
      return { kind: 'defined', path };
    }
    const textFunction = textFunctions.find((candidate) => candidate === name);
    if (textFunction === undefined) throw queryError(`there is no function ${name}; there are IS_DEFINED, ${textFunctions.join(', ')}`);
    this.#expect(',');
    const value = this.#literal(path);
    this.#expect(')');
    if (typeof value !== 'string') throw queryError(`${name} takes a string`);
    return { kind: 'text', name: textFunction, path, value };
  }

  #comparison(): Condition {
    const path = this.#member();
    const isNot = this.#takeWord('NOT');
    if (this.#takeWord('IN')) {
      const condition = { kind: 'in', path, values: this.#literals(path) } as const;
      return isNot ? { kind: 'not', part: condition } : condition;
    }
    const token = this.#tokens[this.#at];
    const operator = token === undefined || token.kind !== 'sign' ? undefined : operators[token.text];
    if (isNot || operator === undefined) throw this.#unexpected('one of = != < <= > >= IN');
    this.#at += 1;
    return { kind: 'compare', path, operator, value: this.#literal(path) };
  }

  #literals(path: MemberPath): readonly Literal[] {
    const close = this.#take('[') ? ']' : ')';
    if (close === ')') this.#expect('(');
    const values = [this.#literal(path)];
    while (this.#take(',')) {
      this.#countCondition();
      values.push(this.#literal(path));
    }
    this.#expect(close);
    return values;
  }

  /** Only members that the resource can have: a name that is mistyped would look like an empty list. */
  #member(): MemberPath {
    const given = this.#name();
    const first = this.#shape.members.find((member) => member.toLowerCase() === given.toLowerCase());
    if (first === undefined) throw queryError(`there is no member '${given}'; there are ${this.#shape.members.join(', ')}`);
    const inner: string[] = [];
    while (this.#take('.')) inner.push(this.#name());
    return [first, ...inner];
  }

  #name(): string {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'word') throw this.#unexpected('a name');
    this.#at += 1;
    return token.text;
  }

  #literal([member, ...inner]: MemberPath): Literal {
    const token = this.#tokens[this.#at];
    this.#at += 1;
    const word = token?.kind === 'word' ? token.text.toLowerCase() : undefined;
    if (word === 'true' || word === 'false') return word === 'true';
    if (word === 'null') return null;
    if (token?.kind === 'number') return Number(token.text);
    if (token?.kind === 'string') {
      const isMoment = inner.length === 0 && this.#shape.moments.has(member);
      if (isMoment && Number.isNaN(Date.parse(token.text)))
        throw queryError(`${member} is compared with a date such as '2026-06-01T12:00:00Z'`);
      return token.text;
    }
    this.#at -= 1;
    throw this.#unexpected('a string, a number, true, false or null');
  }

  #takeWord(word: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'word' || token.text.toUpperCase() !== word) return false;
    this.#at += 1;
    return true;
  }

  #take(sign: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'sign' || token.text !== sign) return false;
    this.#at += 1;
    return true;
  }

  #expect(sign: string): void {
    if (!this.#take(sign)) throw this.#unexpected(`'${sign}'`);
  }

  #unexpected(wanted: string) {
    const token = this.#tokens[this.#at];
    return queryError(token === undefined ? `${wanted} is missing at its end` : `${wanted} was expected at character ${token.at + 1}`);
  }
}
