/** A well-formed Azure api-version: `YYYY-MM-DD` with an optional `-preview` (or `-word`) suffix. */
const wellFormed = /^\d{4}-\d{2}-\d{2}(-[a-z]+)?$/u;

/** The query parameter of every REST call (dps.md 0.3, iot-hub.md 6.1). */
export const apiVersionRule = {
  name: 'api-version',
  isWellFormed: isApiVersion,
  form: 'YYYY-MM-DD or YYYY-MM-DD-preview',
} as const;

/** Every published form is served by the newest behaviour, so only the form is checked. */
export function isApiVersion(text: string | undefined | null): text is string {
  return typeof text === 'string' && wellFormed.test(text);
}
