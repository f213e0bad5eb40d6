const width = 640;
const height = 320;
const margin = 56;
const colours = ['#0b6fa4', '#b4540a', '#3c7d22', '#7a3e9d'];

/** Ratios by size as a picture; sizes on a logarithmic axis. */
export function plot({
  sizes,
  lines,
}: {
  readonly sizes: readonly number[];
  readonly lines: readonly { readonly name: string; readonly ratios: readonly number[] }[];
}): string {
  const most = Math.max(2, ...lines.flatMap(({ ratios }) => ratios));
  const [first = 1, last = 1] = [sizes[0], sizes.at(-1)].map((size) => Math.log10(size ?? 1));
  const x = (size: number): number => margin + ((Math.log10(size) - first) / (last - first || 1)) * (width - 2 * margin);
  const y = (ratio: number): number => height - margin - (ratio / most) * (height - 2 * margin);
  const label = (text: string, attributes: string): string => `<text font-family="sans-serif" font-size="12" ${attributes}>${text}</text>`;
  const axis = [0, 1, most].map(
    (ratio) =>
      `<line x1="${margin}" x2="${width - margin}" y1="${y(ratio)}" y2="${y(ratio)}" stroke="#ccc"/>${label(ratio.toFixed(1), `x="${margin - 32}" y="${y(ratio) + 4}"`)}`,
  );
  const ticks = sizes.map((size) => label(size.toLocaleString('en'), `x="${x(size)}" y="${height - margin + 20}" text-anchor="middle"`));
  const curves = lines.map(({ name, ratios }, at) => {
    const colour = colours[at % colours.length] ?? '#000';
    const points = ratios.map((ratio, index) => `${x(sizes[index] ?? 1)},${y(ratio)}`).join(' ');
    const legend = label(name, `x="${margin + 8}" y="${margin - 32 + 14 * at}" fill="${colour}"`);
    return `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2"/>${legend}`;
  });
  const title = label('registered devices', `x="${width / 2}" y="${height - 12}" text-anchor="middle"`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" role="img" aria-label="CPU of an operation by registered devices"><rect width="100%" height="100%" fill="#fff"/>${[...axis, ...ticks, ...curves, title].join('')}</svg>\n`;
}
