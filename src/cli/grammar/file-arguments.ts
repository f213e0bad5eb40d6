import { readFileSync } from 'node:fs';

/**
 * `@path` for what is in the file, behind any option, as az has it; so a connection string need not stand on the command
 * line, where every user of the machine can read it. What names no readable file stays as it is.
 */
export function expandFileArguments(argv: readonly string[]): readonly string[] {
  return argv.map((word) => {
    const inline = /^(--[^=]+=)(.*)$/su.exec(word);
    return inline === null ? expand(word) : `${inline[1]}${expand(inline[2] ?? '')}`;
  });
}

function expand(word: string): string {
  if (!word.startsWith('@') || word === '@') return word;
  try {
    return readFileSync(word === '@-' ? 0 : word.slice(1), 'utf8')
      .replace(/^\uFEFF/u, '')
      .replace(/[\r\n]+$/u, '');
  } catch {
    // az decides the same way: an id may begin with @, and an option that wants a file says so itself.
    return word;
  }
}
