import { type DestinationStream, type Logger as Pino, pino } from 'pino';
import type { LogFields, Logger } from '../kernel/logger.ts';

/** Names of fields whose values never reach a log, wherever in an event they stand. */
const secretFields: ReadonlySet<string> = new Set([
  'authorization',
  'password',
  'sasToken',
  'sharedAccessKey',
  'connectionString',
  'primaryKey',
  'secondaryKey',
  'privateKey',
  'privateKeyPem',
  'apiToken',
  'authenticationKey',
  'verificationCode',
]);

/** Signatures, keys and tokens that slipped into a text, for instance inside an error's message. */
const secretText =
  /(sig=|SharedAccessKey=|password=|[?&]code=|Bearer )[^&;\s"]+|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/giu;

const redacted = '[redacted]';
/** Deeper than any event goes, so that a circle ends. */
const maxDepth = 8;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** One JSON object per line. */
export function createPinoLogger(options: { readonly level: LogLevel; readonly destination?: DestinationStream }): Logger {
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? pino.destination({ fd: 2, sync: false }),
  );
  return wrap(root);
}

function wrap(target: Pino): Logger {
  /** What nobody will read is not cleaned either. */
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (event: string, fields?: LogFields): void => {
      if (target.isLevelEnabled(level)) target[level](cleanEvent(event, fields));
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(target.child(cleanFields(fields, 0))),
  };
}

function cleanEvent(event: string, fields: LogFields = {}): Record<string, unknown> {
  return { event, ...cleanFields(fields, 0) };
}

function cleanFields(fields: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => [name, secretFields.has(name) ? redacted : clean(value, depth)]),
  );
}

function clean(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.replace(secretText, `$1${redacted}`);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= maxDepth) return '…';
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Error) return cleanError(value, depth + 1);
  if (Array.isArray(value)) return value.map((item: unknown) => clean(item, depth + 1));
  // Certificates and bodies: nobody reads them in a log.
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return cleanFields(value, depth + 1);
}

function cleanError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  const errors = error instanceof AggregateError ? { errors: clean(error.errors, depth) } : {};
  const why = cause === undefined ? {} : { cause: clean(cause, depth) };
  return { ...cleanFields(error, depth), name, message: clean(message, depth), stack: clean(stack ?? '', depth), ...why, ...errors };
}
