/** A command as it is typed, and the words that it is run with. */
export interface CommandLine {
  /** With the quotes that a POSIX shell needs. */
  readonly typed: readonly string[];
  readonly words: readonly string[];
}

/** Reads words between spaces; those with spaces or braces in them stand in single quotes. */
export function readCommandLine(text: string): CommandLine {
  const typed = text.match(/'[^']*'|[^\s']+/gu) ?? [];
  return { typed, words: typed.map((word) => word.replaceAll("'", '')) };
}

/**
 * Lays a command out in lines of at most `width` characters, if its words permit: an option stays with its value, a line
 * that goes on ends with a backslash, and those after the first are indented by four.
 */
export function layOutCommand(typed: readonly string[], width: number): readonly string[] {
  const lines: string[] = [];
  let line = '$';
  for (const part of pairOptions(typed)) {
    // Two characters stay free for " \".
    if (line.length + 1 + part.length > width - 2) {
      lines.push(`${line} \\`);
      line = `    ${part}`;
    } else {
      line = `${line} ${part}`;
    }
  }
  return [...lines, line];
}

function pairOptions(typed: readonly string[]): readonly string[] {
  const parts: string[] = [];
  for (const word of typed) {
    const last = parts.at(-1);
    const isValue = !word.startsWith('-') && last !== undefined && /^--?[^\s]+$/u.test(last);
    if (isValue) parts[parts.length - 1] = `${last} ${word}`;
    else parts.push(word);
  }
  return parts;
}
