import { ServiceError } from '../../../kernel/service-error.ts';

/** Properties of a message as its topic carries them (reference 3.4). */
export interface PropertyBag {
  readonly systemProperties: Readonly<Record<string, string>>;
  readonly applicationProperties: Readonly<Record<string, string>>;
}

/** Names in a bag, and the same things as they are stored (by their AMQP names). */
const systemNames: ReadonlyMap<string, string> = new Map([
  ['$.mid', 'message-id'],
  ['$.cid', 'correlation-id'],
  ['$.uid', 'user-id'],
  ['$.to', 'to'],
  ['$.exp', 'absolute-expiry-time'],
  ['$.ct', 'content-type'],
  ['$.ce', 'content-encoding'],
  ['$.on', 'iothub-outputname'],
  ['$.ifid', 'iothub-interface-id'],
  ['$.sub', 'dt-subject'],
  ['$.schema', 'iothub-message-schema'],
  ['$.ctime', 'iothub-creation-time-utc'],
  ['$.diagid', 'Diagnostic-Id'],
  ['$.diagctx', 'Correlation-Context'],
]);

/**
 * Reads `key=value&…`, both sides percent-encoded and `+` a plus. C# appends a `/`, old clients put a `?` in front. A key
 * without `=` has the value `''`; of equal keys the last counts. Throws `ArgumentInvalid` if an escape is malformed.
 */
export function parsePropertyBag(text: string): PropertyBag {
  const system = new Map<string, string>();
  const application = new Map<string, string>();
  for (const pair of text.replace(/^\?/u, '').replace(/\/$/u, '').split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const key = decode(at < 0 ? pair : pair.slice(0, at));
    const value = at < 0 ? '' : decode(pair.slice(at + 1));
    const systemName = systemNames.get(key);
    if (systemName === undefined) application.set(key, value);
    else system.set(systemName, value);
  }
  // `fromEntries` makes own properties, so that a key `__proto__` is a name like any other.
  return { systemProperties: Object.fromEntries(system), applicationProperties: Object.fromEntries(application) };
}

/** Writes what `parsePropertyBag` reads. `=` in a value is encoded, too: Node and Python split pairs at every one. */
export function renderPropertyBag({ systemProperties, applicationProperties }: PropertyBag): string {
  const system = Object.entries(systemProperties).map(([name, value]) => [bagNames.get(name) ?? name, value] as const);
  return [...system, ...Object.entries(applicationProperties)]
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join('&');
}

const bagNames: ReadonlyMap<string, string> = new Map([...systemNames].map(([bag, stored]) => [stored, bag]));

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (thrown) {
    if (!(thrown instanceof URIError)) throw thrown;
    throw new ServiceError('ArgumentInvalid', 'A message property is not percent-encoded.');
  }
}
