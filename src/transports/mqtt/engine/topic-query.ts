/** `rid` is echoed into a topic, so it must be text that a topic may hold; the SDKs use GUIDs and small numbers. */
const echoable = /^[^\s\p{Cc}/+#&]{1,256}$/u;

/** The query of a request topic (`?$rid=…&operationId=…`), or `undefined` if it is not one with an echoable `$rid`. */
export function parseTopicQuery(query: string): { readonly rid: string; readonly values: ReadonlyMap<string, string> } | undefined {
  if (!query.startsWith('?')) return undefined;
  const values = new Map(query.slice(1).split('&').map(splitPair));
  const rid = values.get('$rid');
  return rid !== undefined && echoable.test(rid) ? { rid, values } : undefined;
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}
