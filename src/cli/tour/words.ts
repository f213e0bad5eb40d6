/** Times as people read them. */
export function inSeconds(span: number): string {
  return `${(span / 1000).toFixed(1)} s`;
}

export function inMilliseconds(span: number): string {
  return `${span < 10 ? span.toFixed(1) : span.toFixed(0)} ms`;
}

/** Advice for operators follows the first sentence; a device has no use for it. */
export function firstSentence(text: string): string {
  return text.split(/\.\s/u)[0]?.replace(/\.$/u, '') ?? text;
}
