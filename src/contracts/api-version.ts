/** A well-formed Azure api-version: `YYYY-MM-DD` with an optional `-preview` (or `-word`) suffix. */
const wellFormed = /^\d{4}-\d{2}-\d{2}(-[a-z]+)?$/u;

/** The query parameter of every REST call (dps.md 0.3, iot-hub.md 6.1). */
export const apiVersionRule = {
  name: 'api-version',
  isWellFormed: isApiVersion,
  form: 'YYYY-MM-DD or YYYY-MM-DD-preview',
} as const;

/** The version since which the device API carries payloads, and since which it tells a return to a hub apart (dps.md 1.1). */
export const payloadsSince = '2019-03-31';
export const returnsSince = '2021-10-01';

/** Whether a well-formed version is that of `floor` or a later one. Dates of this form compare as text. */
export function isSince(version: string, floor: string): boolean {
  return version.slice(0, floor.length) >= floor;
}

/** Every published form is served by the newest behaviour, so only the form is checked. */
export function isApiVersion(text: string | undefined | null): text is string {
  return typeof text === 'string' && wellFormed.test(text);
}
