/** What a device is told to wait after its first attempt; doubled with each further one, up to a day. */
const firstSeconds = 30;
const mostSeconds = 24 * 3600;

/** Seconds that a device which is shut out is told to wait, by how often it has tried. */
export function retryAfterSeconds(attempts: number): number {
  // Beyond these the most is reached; a power of anything larger is no number any more.
  return Math.min(mostSeconds, firstSeconds * 2 ** Math.min(Math.max(attempts, 1) - 1, 16));
}
