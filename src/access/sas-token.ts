import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Instant, instant } from '../kernel/clock.ts';

/** A parsed, unverified `SharedAccessSignature` token. */
export interface SasToken {
  /** `sr` exactly as it stands in the token: this text was signed. */
  readonly rawResource: string;
  /** `sr` decoded once, without scheme, port, query or a trailing slash. */
  readonly resource: string;
  readonly signature: Uint8Array;
  readonly expiresAt: Instant;
  /** Policy name (`skn`); absent for device keys, also when the token carries it empty. */
  readonly keyName?: string;
  readonly rawExpiry: string;
}

/** No genuine token comes near this; whatever is longer is not worth decoding. */
const maxTokenCharacters = 4096;

/** Reads `SharedAccessSignature sr=…&sig=…&se=…[&skn=…]` with its fields in any order; `undefined` when malformed. */
export function parseSasToken(text: string): SasToken | undefined {
  if (text.length > maxTokenCharacters) return undefined;
  const match = /^SharedAccessSignature\s+(.+)$/su.exec(text.trim());
  if (match?.[1] === undefined) return undefined;
  const fields = new Map<string, string>();
  for (const part of match[1].split('&')) {
    const at = part.indexOf('=');
    if (at < 1) return undefined;
    const key = part.slice(0, at);
    // A field given twice would let two readers see two tokens.
    if (fields.has(key)) return undefined;
    fields.set(key, part.slice(at + 1));
  }
  const rawResource = fields.get('sr');
  const rawExpiry = fields.get('se');
  const signature = decode(fields.get('sig'));
  const resource = decodeResource(rawResource);
  const keyName = decode(fields.get('skn'));
  if (!rawResource || resource === undefined || !signature || rawExpiry === undefined || !/^\d{1,12}$/u.test(rawExpiry)) return undefined;
  return {
    rawResource,
    resource: bareResource(resource),
    signature: Buffer.from(signature.replaceAll(' ', '+'), 'base64'),
    expiresAt: instant(Number(rawExpiry) * 1000),
    ...(keyName ? { keyName } : {}),
    rawExpiry,
  };
}

/**
 * Whether one of the base64 keys made the signature: HMAC-SHA256 over the resource as written in the token, a line
 * feed and the expiry. Every key is tried in constant time.
 */
export function isSignedBy(token: SasToken, base64Keys: readonly string[]): boolean {
  let found = false;
  for (const key of base64Keys) {
    const expected = sign(key, token.rawResource, token.rawExpiry);
    const same = expected.length === token.signature.length && timingSafeEqual(expected, token.signature);
    found = found || same;
  }
  return found;
}

/** Whether a token for `granted` reaches `wanted`: a prefix by whole segments; host without case or port, the rest exact. */
export function coversResource(granted: string, wanted: string): boolean {
  const [grantedHost = '', ...grantedPath] = bareResource(granted).split('/');
  const [wantedHost = '', ...wantedPath] = normaliseResource(wanted).split('/');
  if (grantedHost.toLowerCase() !== wantedHost.toLowerCase()) return false;
  return grantedPath.length <= wantedPath.length && grantedPath.every((segment, at) => segment === wantedPath[at]);
}

export function createSasToken(grant: {
  readonly resource: string;
  readonly base64Key: string;
  readonly expiresAt: Instant;
  readonly keyName?: string;
}): string {
  const resource = encodeURIComponent(grant.resource);
  const expiry = String(Math.floor(grant.expiresAt / 1000));
  const signature = encodeURIComponent(sign(grant.base64Key, resource, expiry).toString('base64'));
  const keyName = grant.keyName === undefined ? '' : `&skn=${encodeURIComponent(grant.keyName)}`;
  return `SharedAccessSignature sr=${resource}&sig=${signature}&se=${expiry}${keyName}`;
}

function sign(base64Key: string, rawResource: string, rawExpiry: string): Buffer {
  return createHmac('sha256', Buffer.from(base64Key, 'base64')).update(`${rawResource}\n${rawExpiry}`).digest();
}

function decode(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** C writes a resource as it is, and then a percent sign of an id need not begin an escape. */
function decodeResource(text: string | undefined): string | undefined {
  return decode(text) ?? (text?.includes('/') === true ? text : undefined);
}

/** A resource without scheme, port, query or a trailing slash. */
export function bareResource(resource: string): string {
  return normaliseResource(withoutQuery(resource));
}

/**
 * Some clients sign a resource with the query of their request. Ids may contain `?`, too: only a query of its own
 * segment is one, and none that would leave the whole of `devices`, or a token for one device would be good for others.
 */
const withoutQuery = (resource: string): string => resource.replace(/(?<!\/devices)\/\?api-version=[^/]*$/iu, '');

function normaliseResource(resource: string): string {
  const bare = resource.replace(/^[a-z]+:\/\//iu, '').replace(/\/+$/u, '');
  const slash = bare.indexOf('/');
  const host = slash < 0 ? bare : bare.slice(0, slash);
  return host.replace(/:\d+$/u, '') + (slash < 0 ? '' : bare.slice(slash));
}
