/** The address of a node, taken apart. */
export interface NodeAddress {
  /** With its port, if it had one; absent from a relative address. */
  readonly host?: string;
  /** Each decoded once. */
  readonly segments: readonly string[];
}

/** Clients write `amqps://{host}[:port]/a/b`, `/a/b` or `a/b`, and some end with a slash (hub chapter 4.4, DPS chapter 1.6.3). */
export function parseAddress(address: string): NodeAddress {
  const authority = /^amqps?:\/\/([^/]*)/iu.exec(address);
  const path = address.slice(authority?.[0].length ?? 0).replace(/^\/|\/+$/gu, '');
  const segments = path.split('/').map(decodeSegment);
  return authority?.[1] ? { host: authority[1], segments } : { segments };
}

/** Decodes once. Node sends ids as they are, so a bare percent sign stands for itself. */
export function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    if (error instanceof URIError) return segment;
    throw error;
  }
}
