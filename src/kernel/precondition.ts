/**
 * What an `If-Match` header asks for. `absent` keeps apart from `any`, because the two differ for both APIs:
 * a PUT without it creates, a PUT with `*` updates.
 */
export type Precondition = { readonly kind: 'absent' } | { readonly kind: 'any' } | { readonly kind: 'etag'; readonly etag: string };

/**
 * Reads every form that clients send: bare, quoted, weak (`W/"…"`), `*` and `"*"`. An empty or empty-quoted
 * value counts as absent (the .NET track 2 hub client creates with `If-Match: ""`).
 */
export function parseIfMatch(header: string | undefined): Precondition {
  if (header === undefined) return { kind: 'absent' };
  const value = unquoteEtag(header);
  if (value === '') return { kind: 'absent' };
  if (value === '*') return { kind: 'any' };
  return { kind: 'etag', etag: value };
}

/** Strips white space, a weak marker and quotes from an entity tag. */
export function unquoteEtag(text: string): string {
  return text.trim().replace(/^W\//u, '').replace(/^"|"$/gu, '');
}
