import type { PathFailure } from '../../../src/pki/verify-path.ts';
import { implicit, sequence } from '../../fixtures/pki/der-writer.ts';
import { extension, generalName, nameConstraints, subjectKeyId } from '../../fixtures/pki/extension.ts';
import { ecKey, type Made, make, noon } from '../../fixtures/pki/make-certificate.ts';

/** Where Muster and `openssl verify` answer differently on purpose. */
export interface Difference {
  readonly name: string;
  readonly why: string;
  readonly build: () => { readonly leaf: Made; readonly intermediates: readonly Made[]; readonly anchors: readonly Made[] };
  readonly muster: 'ok' | PathFailure;
  /** Its error number. */
  readonly openssl: 'ok' | number;
  readonly at?: number;
}

const [rootKey, intKey, otherKey, leafKey] = [ecKey(), ecKey(), ecKey(), ecKey()];
const second = 1000;

export const differences: readonly Difference[] = [
  {
    name: 'last-second',
    why: 'RFC 5280 4.1.2.5 counts notAfter itself as valid, OpenSSL does not',
    build: () => {
      const root = make({ subject: 'Root', key: rootKey, ca: true });
      return { leaf: make({ subject: 'leaf', key: leafKey, issuer: root, notAfter: noon }), intermediates: [], anchors: [root] };
    },
    muster: 'ok',
    openssl: 10,
  },
  {
    name: 'alternative-path',
    why: 'OpenSSL follows the first issuer it finds and does not come back; Muster tries the others',
    build: () => {
      const root = make({ subject: 'Root', key: rootKey, ca: true });
      const useless = make({
        subject: 'Int',
        key: intKey,
        ca: true,
        issuer: root,
        usages: ['keyCertSign'],
        extensions: [nameConstraints({ excluded: [generalName.directory(sequence())] })],
      });
      const good = make({ subject: 'Int', key: intKey, ca: true, issuer: root });
      return { leaf: make({ subject: 'leaf', key: leafKey, issuer: good }), intermediates: [useless, good], anchors: [root] };
    },
    muster: 'ok',
    openssl: 48,
  },
  {
    name: 'namesake-without-identifiers',
    why: 'of several trusted CAs of one name without key identifiers OpenSSL tries one; certGen.sh gives everybody the same names',
    build: () => {
      const root = make({ subject: 'Root', key: rootKey, ca: true, noKeyIds: true });
      const namesake = make({ subject: 'Root', key: otherKey, ca: true, noKeyIds: true, notAfter: noon + 3_000 * 86_400_000 });
      return { leaf: make({ subject: 'leaf', key: leafKey, issuer: root, noKeyIds: true }), intermediates: [], anchors: [namesake, root] };
    },
    muster: 'ok',
    openssl: 7,
  },
  {
    name: 'identifiers-disagree',
    why: 'RFC 5280 4.2.1.1 has key identifiers help to build paths, not to judge them; the signature decides',
    build: () => {
      const root = make({ subject: 'Root', key: rootKey, ca: true });
      return {
        leaf: make({ subject: 'leaf', key: leafKey, issuer: root, authorityKeyId: Buffer.alloc(20, 1) }),
        intermediates: [],
        anchors: [root],
      };
    },
    muster: 'ok',
    openssl: 20,
  },
  {
    name: 'version-1-anchor',
    why: 'OpenSSL takes a self-signed root of version 1 for a CA; Muster wants it to say so',
    build: () => {
      const root = make({ subject: 'Root', key: rootKey, version: 0 });
      return { leaf: make({ subject: 'leaf', key: leafKey, issuer: root, noKeyIds: true }), intermediates: [], anchors: [root] };
    },
    muster: 'not-a-ca',
    openssl: 'ok',
  },
  {
    name: 'anchor-without-basic-constraints',
    why: 'OpenSSL takes keyCertSign for enough at the top of a path; RFC 5280 4.2.1.9 does not',
    build: () => {
      const root = make({ subject: 'Root', key: rootKey, ca: true, noBasicConstraints: true });
      return { leaf: make({ subject: 'leaf', key: leafKey, issuer: root }), intermediates: [], anchors: [root] };
    },
    muster: 'not-a-ca',
    openssl: 'ok',
  },
  {
    name: 'explicit-policy',
    why: 'OpenSSL looks at policies only when asked to; Muster builds no policy tree, so it refuses a path that must have a policy',
    build: () => {
      const root = make({ subject: 'Root', key: rootKey, ca: true });
      const int = make({
        subject: 'Int',
        key: intKey,
        ca: true,
        issuer: root,
        extensions: [extension('2.5.29.36', sequence(implicit(0, Buffer.from([0]))), true)],
      });
      return { leaf: make({ subject: 'leaf', key: leafKey, issuer: int }), intermediates: [int], anchors: [root] };
    },
    muster: 'explicit-policy',
    openssl: 'ok',
  },
  {
    name: 'common-name-as-host',
    why: 'OpenSSL reads a CN with a dot as a DNS name under DNS constraints; to Muster it is a device id, as RFC 5280 4.2.1.10 has it',
    build: () => {
      const root = make({
        subject: 'Root',
        key: rootKey,
        ca: true,
        extensions: [nameConstraints({ permitted: [generalName.dns('example.com')] })],
      });
      return { leaf: make({ subject: 'sensor.7', key: leafKey, issuer: root }), intermediates: [], anchors: [root] };
    },
    muster: 'ok',
    openssl: 47,
  },
  {
    name: 'critical-key-identifier',
    why: 'a critical subjectKeyIdentifier is against RFC 5280 4.2.1.2, but it is understood; OpenSSL treats it as unknown',
    build: () => {
      const root = make({ subject: 'Root', key: rootKey, ca: true });
      const critical = extension('2.5.29.14', subjectKeyId(Buffer.alloc(20)).subarray(-22), true);
      return {
        leaf: make({ subject: 'leaf', key: leafKey, issuer: root, noKeyIds: true, extensions: [critical] }),
        intermediates: [],
        anchors: [root],
      };
    },
    muster: 'ok',
    openssl: 34,
  },
  {
    name: 'long-path',
    why: 'Muster follows paths of up to ten certificates, OpenSSL of a hundred',
    build: () => {
      const made = [make({ subject: 'CA 0', key: rootKey, ca: true })];
      for (let level = 1; level < 11; level += 1) {
        const [issuer] = made;
        made.unshift(
          make({ subject: `CA ${level}`, key: level % 2 === 0 ? rootKey : intKey, ca: true, ...(issuer === undefined ? {} : { issuer }) }),
        );
      }
      const [leaf] = made;
      if (leaf === undefined) throw new Error('nothing was made');
      return { leaf, intermediates: made.slice(1, -1), anchors: made.slice(-1) };
    },
    muster: 'path-too-long',
    openssl: 'ok',
  },
  {
    name: 'other-curve',
    why: 'Muster has CAs sign on the NIST curves only',
    build: () => {
      const root = make({ subject: 'Root', key: ecKey('secp256k1'), ca: true });
      return { leaf: make({ subject: 'leaf', key: leafKey, issuer: root }), intermediates: [], anchors: [root] };
    },
    muster: 'unsupported-algorithm',
    openssl: 'ok',
  },
  {
    name: 'user-information-in-uri',
    why: 'OpenSSL takes what stands before the @ of a URI for its host; RFC 3986 3.2 does not',
    build: () => {
      const root = make({
        subject: 'Root',
        key: rootKey,
        ca: true,
        extensions: [nameConstraints({ permitted: [generalName.uri('example.com')] })],
      });
      const uri = extension('2.5.29.17', sequence(generalName.uri('https://user@example.com/')));
      return { leaf: make({ subject: 'leaf', key: leafKey, issuer: root, extensions: [uri] }), intermediates: [], anchors: [root] };
    },
    muster: 'ok',
    openssl: 47,
  },
  {
    name: 'sub-second',
    why: 'OpenSSL knows whole seconds; half a second before notBefore is still before it',
    build: () => {
      const root = make({ subject: 'Root', key: rootKey, ca: true });
      return { leaf: make({ subject: 'leaf', key: leafKey, issuer: root, notBefore: noon + second }), intermediates: [], anchors: [root] };
    },
    muster: 'not-yet-valid',
    openssl: 9,
  },
];
