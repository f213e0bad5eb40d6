import picocolors from 'picocolors';

const token = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gu;
// Asked for by name: whether the terminal shows colours was decided before.
const { blue, green, cyan } = picocolors.createColors(true);

/** Paints names, texts and other values of a JSON text. */
export function colourJson(json: string): string {
  return json.replaceAll(token, (whole: string, quoted: string | undefined, colon: string | undefined) => {
    if (quoted === undefined) return cyan(whole);
    return colon === undefined ? green(quoted) : blue(quoted) + colon;
  });
}
