import { contextConstructed, contextPrimitive, damaged, type DerReader } from './der.ts';
import { type DistinguishedName, readName } from './distinguished-name.ts';

/** The forms of GeneralName that are interpreted here (RFC 5280 4.2.1.6), and one for all others. */
export type GeneralName =
  | { readonly form: 'email' | 'dns' | 'uri'; readonly value: string }
  | { readonly form: 'ip'; readonly bytes: Uint8Array }
  | { readonly form: 'directory'; readonly name: DistinguishedName }
  /** `kind` tells apart what may be compared: the context tag, and for otherName also its type. */
  | { readonly form: 'other'; readonly kind: string };

const stringForms = [
  [contextPrimitive(1), 'email'],
  [contextPrimitive(2), 'dns'],
  [contextPrimitive(6), 'uri'],
] as const;
const ipTag = contextPrimitive(7);
const directoryTag = contextConstructed(4);
const otherNameTag = contextConstructed(0);
const otherTags = [otherNameTag, contextConstructed(3), contextConstructed(5), contextPrimitive(8)];

/** Reads one GeneralName; throws `CertificateFormatError`. */
export function readGeneralName(reader: DerReader, what: string): GeneralName {
  for (const [tag, form] of stringForms) {
    if (reader.at(tag)) return { form, value: reader.content(tag, what).toString('latin1') };
  }
  if (reader.at(ipTag)) return { form: 'ip', bytes: reader.content(ipTag, what) };
  if (reader.at(directoryTag)) {
    const inner = reader.enter(directoryTag, what);
    const name = readName(inner, what);
    inner.finish(what);
    return { form: 'directory', name };
  }
  return readOther(reader, what);
}

function readOther(reader: DerReader, what: string): GeneralName {
  const tag = otherTags.find((candidate) => reader.at(candidate));
  if (tag === undefined) throw damaged(what, 'holds a name of an unknown form');
  const { der } = reader.element(what);
  return { form: 'other', kind: tag === otherNameTag ? `0:${otherNameType(der)}` : String(tag) };
}

// The type-id comes first inside otherName; its encoding is as good a key as its text.
function otherNameType(der: Buffer): string {
  const headerLength = (der[1] ?? 0) < 0x80 ? 2 : 2 + ((der[1] ?? 0) & 0x7f);
  const typeLength = der[headerLength + 1] ?? 0;
  return der.subarray(headerLength, headerLength + 2 + typeLength).toString('hex');
}
