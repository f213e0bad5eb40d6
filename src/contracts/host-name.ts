/** A host as it compares: no port, no case, no brackets around an IPv6 address, no dot at the end. */
export function bareHost(host: string): string {
  const text = host.trim().toLowerCase();
  const bracketed = /^\[(?<address>[^\]]*)\](?::\d+)?$/u.exec(text)?.groups?.address;
  if (bracketed !== undefined) return bracketed;
  // More than one colon outside brackets is an address, and none of them begins a port.
  const withoutPort = text.split(':').length === 2 ? text.replace(/:\d+$/u, '') : text;
  return withoutPort.replace(/\.$/u, '');
}
