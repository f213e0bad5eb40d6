import { type DestinationStream, type Logger as Pino, pino } from 'pino';
import type { LogFields, Logger } from '../kernel/logger.ts';

/** Names of fields whose values never reach a log, wherever in an event they stand (three levels are looked at). */
const secretFields = [
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
];

/** Signatures and private keys that slipped into a text, for instance inside an error's message. */
const secretText =
  /(sig=|SharedAccessKey=|password=)[^&;\s"]+|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/giu;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** One JSON object per line. */
export function createPinoLogger(options: { readonly level: LogLevel; readonly destination?: DestinationStream }): Logger {
  const paths = secretFields.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths, censor: '[redacted]' },
    },
    options.destination ?? pino.destination({ fd: 2, sync: false }),
  );
  return wrap(root);
}

function wrap(target: Pino): Logger {
  return {
    debug: (event, fields) => target.debug(clean(event, fields)),
    info: (event, fields) => target.info(clean(event, fields)),
    warn: (event, fields) => target.warn(clean(event, fields)),
    error: (event, fields) => target.error(clean(event, fields)),
    child: (fields) => wrap(target.child(fields)),
  };
}

function clean(event: string, fields: LogFields = {}): Record<string, unknown> {
  const entries = Object.entries(fields).map(([key, value]) => [key, cleanValue(value)]);
  return { event, ...Object.fromEntries(entries) };
}

function cleanValue(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(secretText, '$1[redacted]');
  if (value instanceof Error) {
    return { name: value.name, message: cleanValue(value.message), stack: cleanValue(value.stack ?? '') };
  }
  return value;
}
