import { isUtf8 } from 'node:buffer';

import { damaged, type DerReader, readOid, tags } from './der.ts';

/** An X.501 name, read once in the three forms that are needed of it. */
export interface DistinguishedName {
  /** As .NET's `X509Certificate2.Subject` writes it: last RDN first, `CN=a, O=b`. */
  readonly text: string;
  /** Equal for names that RFC 5280 7.1 calls equal; for comparison only. */
  readonly key: string;
  /** The key of each RDN, in the order of the encoding; directoryName constraints compare a prefix of it. */
  readonly rdnKeys: readonly string[];
  /** The last CN, which is the one that Azure takes as the device's id. */
  readonly commonName: string | undefined;
  /** Values of the emailAddress attribute (PKCS #9), which name constraints treat like e-mail names. */
  readonly emailAddresses: readonly string[];
}

interface Attribute {
  readonly oid: string;
  readonly value: string;
  /** Comparison key: `oid=folded value`. */
  readonly key: string;
}

const oids = { commonName: '2.5.4.3', emailAddress: '1.2.840.113549.1.9.1' } as const;

/** Types besides text that a value may have (NumericString, BIT STRING, SEQUENCE); kept as bytes. */
const rareValueTags: ReadonlySet<number> = new Set([tags.numericString, tags.bitString, tags.sequence]);

/** Labels as Windows and .NET print them (`S` for the state, `E` for the e-mail address); the rest is `OID.…`. */
const labels: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'SERIALNUMBER',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'S',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'T',
  '2.5.4.13': 'Description',
  '2.5.4.17': 'PostalCode',
  '2.5.4.42': 'G',
  '2.5.4.43': 'I',
  '2.5.4.46': 'dnQualifier',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'E',
};

/** Reads a Name; throws `CertificateFormatError`. */
export function readName(reader: DerReader, what: string): DistinguishedName {
  const rdns: (readonly Attribute[])[] = [];
  const sequence = reader.enter(tags.sequence, what);
  while (!sequence.done) rdns.push(readRdn(sequence, what));
  const attributes = rdns.flat();
  const rdnKeys = rdns.map(rdnKey);
  return {
    text: rdns.map(rdnText).toReversed().join(', '),
    key: rdnKeys.join(','),
    rdnKeys,
    commonName: attributes.findLast((attribute) => attribute.oid === oids.commonName)?.value,
    emailAddresses: attributes.filter((attribute) => attribute.oid === oids.emailAddress).map((attribute) => attribute.value),
  };
}

function readRdn(reader: DerReader, what: string): readonly Attribute[] {
  const attributes: Attribute[] = [];
  const set = reader.enter(tags.set, what);
  while (!set.done) attributes.push(readAttribute(set, what));
  if (attributes.length === 0) throw damaged(what, 'has an empty part');
  return attributes;
}

function readAttribute(reader: DerReader, what: string): Attribute {
  const pair = reader.enter(tags.sequence, what);
  const oid = readOid(pair, what);
  const { tag, der } = pair.element(what);
  pair.finish(what);
  const value = decodeString(tag, der.subarray(contentOffset(der)), what);
  if (value === undefined) {
    if (!rareValueTags.has(tag)) throw damaged(what, 'holds a value that is not text');
    const hex = der.toString('hex');
    return { oid, value: `#${hex.toUpperCase()}`, key: `${oid}=#${hex}` };
  }
  return { oid, value, key: `${oid}=${escapeKey(fold(value))}` };
}

/** Decodes the string types that a name may use; `undefined` for any other type. */
function decodeString(tag: number, content: Buffer, what: string): string | undefined {
  switch (tag) {
    case tags.utf8String:
      if (!isUtf8(content)) throw damaged(what, 'holds text that is not valid UTF-8');
      return content.toString('utf8');
    case tags.printableString:
    case tags.ia5String:
    case tags.t61String: // In practice Latin-1, as OpenSSL reads it.
      return content.toString('latin1');
    case tags.bmpString:
      return decodeCodePoints(content, 2, what);
    case tags.universalString:
      return decodeCodePoints(content, 4, what);
    default:
      return undefined;
  }
}

function decodeCodePoints(content: Buffer, width: 2 | 4, what: string): string {
  if (content.length % width !== 0) throw damaged(what, 'holds a text with half a character');
  let text = '';
  for (let offset = 0; offset < content.length; offset += width) {
    const code = content.readUIntBE(offset, width);
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw damaged(what, 'holds a character that does not exist');
    text += String.fromCodePoint(code);
  }
  return text;
}

/**
 * RFC 5280 7.1 as OpenSSL practises it: the string type does not matter, ASCII letters are compared without case,
 * white space at the ends is dropped and inside counts as one space. Letters beyond ASCII keep their case.
 */
function fold(value: string): string {
  return value
    .replace(/[ \t\n\v\f\r]+/gu, ' ')
    .replace(/^ | $/gu, '')
    .replace(/[A-Z]+/gu, (letters) => letters.toLowerCase());
}

// Separators and control characters are escaped so that two different names never give one key, and so that a
// key can be stored in databases that refuse NUL.
function escapeKey(value: string): string {
  return value.replace(/[\\,+=#\p{Cc}]/gu, (character) => `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

// X.501 compares the attributes of an RDN as a set.
function rdnKey(rdn: readonly Attribute[]): string {
  if (rdn.length === 1) return rdn[0]?.key ?? '';
  return rdn
    .map((attribute) => attribute.key)
    .toSorted()
    .join('+');
}

function rdnText(rdn: readonly Attribute[]): string {
  return rdn.map((attribute) => `${labels[attribute.oid] ?? `OID.${attribute.oid}`}=${quote(attribute.value)}`).join(' + ');
}

/** .NET's rule: quote what could be misread, double the quotes inside. */
function quote(value: string): string {
  const needsQuotes = value === '' || /[,+="\n<>#;]|^[ \t-\r]|[ \t-\r]$/u.test(value);
  return needsQuotes ? `"${value.replaceAll('"', '""')}"` : value;
}

// `element()` has checked the header already.
function contentOffset(der: Buffer): number {
  const first = der[1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}
