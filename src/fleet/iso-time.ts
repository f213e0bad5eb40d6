/** Epoch milliseconds as `2026-06-15T12:00:00.000Z`. */
export function isoTime(at: number): string {
  return new Date(at).toISOString();
}
