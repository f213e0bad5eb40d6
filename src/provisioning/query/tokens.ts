import { ServiceError } from '../../kernel/service-error.ts';

export interface Token {
  readonly kind: 'word' | 'string' | 'number' | 'sign';
  /** Of a string, what it stands for. */
  readonly text: string;
  /** Where it begins, from 0. */
  readonly at: number;
}

const pattern =
  /\s*(?:(?<word>[A-Za-z_$][A-Za-z0-9_$-]*)|(?<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)|'(?<single>(?:[^']|'')*)'|"(?<double>(?:[^"]|"")*)"|(?<sign><=|>=|<>|!=|[=<>*().,[\]]))/uy;

/** Cuts a query into words, strings, numbers and signs. Throws `DpsBadRequest`. */
export function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  pattern.lastIndex = 0;
  while (pattern.lastIndex < end) {
    const from = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) throw queryError(`it cannot be read at character ${from + 1}`);
    tokens.push(tokenOf(match, pattern.lastIndex));
  }
  return tokens;
}

function tokenOf({ groups = {} }: RegExpExecArray, end: number): Token {
  const { word, number, single, double, sign } = groups as Readonly<Record<string, string | undefined>>;
  if (word !== undefined) return { kind: 'word', text: word, at: end - word.length };
  if (number !== undefined) return { kind: 'number', text: number, at: end - number.length };
  if (sign !== undefined) return { kind: 'sign', text: sign, at: end - sign.length };
  const [raw, quote] = single === undefined ? [double ?? '', '"'] : [single, "'"];
  // A quote stands doubled inside a string of its kind.
  return { kind: 'string', text: raw.replaceAll(quote + quote, quote), at: end - raw.length - 2 };
}

/** Says what is wrong, and what is understood. */
export function queryError(problem: string): ServiceError {
  const understood =
    'Understood are SELECT *, an optional FROM, and WHERE with members such as provisioningStatus or initialTwin.tags.site, = != < <= > >= IN, IS_DEFINED, STARTSWITH, ENDSWITH, CONTAINS, AND, OR, NOT and parentheses';
  return new ServiceError('DpsBadRequest', `The query is not valid: ${problem}. ${understood}.`);
}
