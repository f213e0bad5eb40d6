import { bareResource, type SasToken } from './sas-token.ts';

/** Segments behind the host. */
export type ResourcePath = readonly string[];

/**
 * What a token may be for, the likeliest first. How an id is written in its resource differs between SDKs:
 *
 *     Node, Python, az       encode(host/devices/id)
 *     C#, its HSM            encode(host/devices/encode(id))
 *     C over HTTPS, Java     host/devices/encode(id)
 *     C over MQTT and AMQP   host/devices/id
 *
 * so that one text may name two devices whose ids have percent signs. With a device's own key the signature tells which of
 * them it is, and every reading is tried. The key of a policy signs for all of them: there the resource is decoded once,
 * as the SDKs that sign so write it, and one whose escapes may belong to the id is for nobody.
 */
export function pathsOf(token: SasToken): readonly ResourcePath[] {
  const plain = pathOf(token.resource);
  const written = bareResource(token.rawResource);
  const isOpen = written.includes('/') && written.includes('%');
  if (token.keyName !== undefined) return isOpen ? [] : [plain];
  const paths = [...twiceEncoded(plain), plain, ...(isOpen ? [pathOf(written)] : [])];
  return [...new Map(paths.map((path) => [path.join('/'), path])).values()];
}

/**
 * Whether it is for what a path names. The token of a policy may be for more: every segment of it is, in order, one of the
 * path's first. A key of a device or module signs for that alone, and what signs for more is not what an SDK signed: the
 * resource of a module lies below that of its device, but not within the reach of its key (hub reference 2.1).
 */
export function coversPath(token: SasToken, wanted: ResourcePath): boolean {
  const isAsLong = (path: ResourcePath): boolean =>
    token.keyName === undefined ? path.length === wanted.length : path.length <= wanted.length;
  return pathsOf(token).some((path) => isAsLong(path) && path.every((segment, at) => segment === wanted[at]));
}

const pathOf = (resource: string): ResourcePath => resource.split('/').slice(1);

/** Only what .NET itself would have encoded so: a text with other escapes is somebody's id. */
function twiceEncoded(path: ResourcePath): readonly ResourcePath[] {
  const decoded = path.map(decodeOrKeep);
  const isSo = path.every((segment, at) => encodeAsDotNet(decoded[at] ?? '') === withLargeEscapes(segment));
  return isSo ? [decoded] : [];
}

/** `WebUtility.UrlEncode`, for what an id can hold: it leaves fewer characters alone than `encodeURIComponent`. */
function encodeAsDotNet(id: string): string {
  return encodeURIComponent(id).replaceAll("'", '%27').replaceAll('~', '%7E');
}

const withLargeEscapes = (text: string): string => text.replaceAll(/%[\da-f]{2}/giu, (escape) => escape.toUpperCase());

function decodeOrKeep(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}
