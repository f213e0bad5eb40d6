/** Columns that everything the tour prints keeps to. */
export const columns = 80;

/** Breaks a text at spaces into lines of at most `width` characters; a longer word is cut, so that the width holds. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/u).flatMap((part) => chop(part, width))) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return line === '' ? lines : [...lines, line];
}

function chop(word: string, width: number): readonly string[] {
  return word.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [];
}

/** A line that is kept as it is, but for what does not fit. */
export function clip(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}

/** Texts side by side, each wrapped in a column of its width; the last one is not padded. */
export function sideBySide(cells: readonly { readonly text: string; readonly width: number }[]): readonly string[] {
  const wrapped = cells.map(({ text, width }) => wrap(text, width));
  const height = Math.max(1, ...wrapped.map((lines) => lines.length));
  return Array.from({ length: height }, (_, row) =>
    cells
      .map(({ width }, at) => (wrapped[at]?.[row] ?? '').padEnd(width))
      .join('  ')
      .trimEnd(),
  );
}

/** Rows under a heading, with a column for each; numbers are flush right, and their headings, too. */
export function renderRows(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((word, at) => Math.max(word.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const numeric = heading.map((_, at) => rows.every((row) => /^(?:[\d.]+(?: m?s)?|-)$/u.test(row[at] ?? '')));
  const cell = (text: string, at: number): string => (numeric[at] ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0));
  return [heading, ...rows].map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}
