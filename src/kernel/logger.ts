/** Fields of one log event. Names of fields that hold secrets are redacted by the real logger. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Structured log. One wide event per request, connection or registration, emitted once, with a stable `event`
 * name as its first argument.
 */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  child(fields: LogFields): Logger;
}
