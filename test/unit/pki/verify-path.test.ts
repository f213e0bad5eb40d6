import { describe, expect, test } from 'vitest';

import { parseCertificate } from '../../../src/pki/certificate.ts';
import { issuersOf, type PathFailure } from '../../../src/pki/verify-path.ts';
import { implicit, integer, oid, sequence } from '../../fixtures/pki/der-writer.ts';
import { authorityKeyId, extendedKeyUsage, extension, generalName, subjectAltName, subjectKeyId } from '../../fixtures/pki/extension.ts';
import { type CertificateSpec, ecKey, ed25519Key, type Made, make, noon, rsaKey } from '../../fixtures/pki/make-certificate.ts';
import {
  type Case,
  four,
  int,
  int2,
  int2Key,
  intKey,
  leaf,
  leafKey,
  otherKey,
  rolledOver,
  root,
  rootKey,
  type Spec,
  three,
  verify,
} from '../../fixtures/pki/path-case.ts';

const second = 1000;
const rsa2048 = rsaKey(2048);
const rsa1024 = rsaKey(1024);
const shortRsa = rsaKey(768);
const ed = ed25519Key();

const alone = (anchor: Made): Case => ({ leaf: anchor, anchors: [anchor] });
const dns = (value: string): Buffer => subjectAltName(generalName.dns(value));
const critical = (id: string): Spec => ({ extensions: [extension(id, sequence(), true)] });
const policyConstraints = extension('2.5.29.36', sequence(implicit(0, Buffer.from([0]))), true);

describe('ok', () => {
  test.each<[string, readonly string[], () => Case]>([
    ['leaf under the anchor', ['leaf', 'Root'], () => ({ leaf: leaf(root()), anchors: [root()] })],
    ['one intermediate', ['leaf', 'Int', 'Root'], () => three()],
    ['two intermediates', ['leaf', 'Int 2', 'Int', 'Root'], () => four()],
    ['the leaf is an anchor, self-signed', ['leaf'], () => alone(leaf(undefined))],
    ['the leaf is an anchor, issued by somebody unknown', ['leaf'], () => alone(leaf(root()))],
    ['an intermediate is the anchor', ['leaf', 'Int'], () => ({ ...three(), intermediates: [], anchors: three().intermediates ?? [] })],
    [
      'anchors above an anchor are not needed',
      ['leaf', 'Int'],
      () => ({ ...three(), anchors: [...(three().intermediates ?? []), root()] }),
    ],
    [
      'anchor also among the intermediates',
      ['leaf', 'Int', 'Root'],
      () => ({ ...three(), intermediates: [...(three().intermediates ?? []), ...three().anchors] }),
    ],
    [
      'the leaf also among the intermediates',
      ['leaf', 'Int', 'Root'],
      () => withJunk((chain) => [chain.leaf, ...(chain.intermediates ?? [])]),
    ],
    [
      'intermediates twice and in any order',
      ['leaf', 'Int 2', 'Int', 'Root'],
      () => ({ ...four(), intermediates: [...(four().intermediates ?? []), ...(four().intermediates ?? [])].toReversed() }),
    ],
    [
      'strangers among the intermediates',
      ['leaf', 'Int', 'Root'],
      () => withJunk((chain) => [leaf(undefined), int2(root({ subject: 'Else', key: otherKey })), ...(chain.intermediates ?? [])]),
    ],
    [
      'another CA of the same name before the right one',
      ['leaf', 'Int', 'Root'],
      () => withJunk((chain) => [int(root(), { key: otherKey }), ...(chain.intermediates ?? [])]),
    ],
    [
      'another anchor of the same name before the right one',
      ['leaf', 'Root'],
      () => ({ leaf: leaf(root()), anchors: [root({ key: otherKey }), root()] }),
    ],
    [
      'the same without key identifiers',
      ['leaf', 'Root'],
      () => bare((top) => ({ leaf: leaf(top, { noKeyIds: true }), anchors: [root({ key: otherKey, noKeyIds: true }), top] })),
    ],
    [
      'the anchor was issued again with the same key',
      ['leaf', 'Root'],
      () => ({ leaf: leaf(root({ notAfter: noon - 1 })), anchors: [root({ notAfter: noon - 1 }), root()] }),
    ],
    ['cross-signed: one way leads to an expired root', ['leaf', 'Int', 'New'], crossSigned],
    ['cross-signed in a circle', ['leaf', 'Int', 'Int 2', 'Root'], crossSignedCircle],
    ['a key rolled over, signed by the old one', ['leaf', 'Root', 'Root'], () => rolledOver()],
    [
      'key identifiers that disagree while the signature holds',
      ['leaf', 'Root'],
      () => ({ leaf: leaf(root(), { authorityKeyId: Buffer.alloc(20, 7) }), anchors: [root()] }),
    ],
    [
      'names that differ in case and white space',
      ['leaf', 'Root'],
      () => ({ leaf: leaf(root(), { issuerName: [['CN', ' ROOT', 'printable']] }), anchors: [root()] }),
    ],
    ['the first moment', ['leaf', 'Int', 'Root'], () => three({ leaf: { notBefore: noon } })],
    ['the last moment', ['leaf', 'Int', 'Root'], () => three({ leaf: { notAfter: noon } })],
    ['ten certificates', Array.from({ length: 10 }, (_, index) => `Level ${index}`), () => tower(10)],
    ['pathLen 1 above one intermediate', ['leaf', 'Int', 'Root'], () => three({ root: { pathLength: 1 } })],
    ['pathLen 0 above a leaf', ['leaf', 'Int', 'Root'], () => three({ int: { pathLength: 0 } })],
    ['pathLen does not count self-issued intermediates', ['leaf', 'Root', 'Root'], () => rolledOver({ pathLength: 0 })],
    ['pathLen does not count the leaf, even a CA', ['leaf', 'Int', 'Root'], () => three({ int: { pathLength: 0 }, leaf: { ca: true } })],
    ['a CA without keyUsage', ['leaf', 'Int', 'Root'], () => three({ int: { usages: 'none' } })],
    ['keyUsage with keyCertSign alone', ['leaf', 'Int', 'Root'], () => three({ int: { usages: ['keyCertSign'] } })],
    [
      'a leaf without extensions',
      ['leaf', 'Int', 'Root'],
      () => three({ leaf: { usages: 'none', noBasicConstraints: true, noKeyIds: true } }),
    ],
    ['a leaf of version 1', ['leaf', 'Int', 'Root'], () => three({ leaf: { version: 0 } })],
    [
      'a leaf whose EKU lacks clientAuth, as in Azure',
      ['leaf', 'Int', 'Root'],
      () => three({ leaf: { extensions: [extendedKeyUsage('1.3.6.1.5.5.7.3.1')] } }),
    ],
    [
      'an unknown extension that is not critical',
      ['leaf', 'Int', 'Root'],
      () => three({ int: { extensions: [extension('1.2.3.4', sequence())] } }),
    ],
    [
      'critical extensions that are understood',
      ['leaf', 'Int', 'Root'],
      () =>
        three({
          leaf: {
            noKeyIds: true,
            extensions: [
              critically(extendedKeyUsage('1.3.6.1.5.5.7.3.2')),
              critically(dns('a')),
              critically(subjectKeyId(Buffer.alloc(20))),
              critically(authorityKeyId(Buffer.alloc(20))),
            ],
          },
        }),
    ],
    [
      'policies without a demand for one',
      ['leaf', 'Int', 'Root'],
      () =>
        three({
          int: {
            extensions: [extension('2.5.29.32', sequence(sequence(oid('2.5.29.32.0'))), true), extension('2.5.29.54', integer(0), true)],
          },
        }),
    ],
    ['RSA 2048, PKCS#1', ['leaf', 'Root'], () => signed({ key: rsa2048, algorithm: 'rsaSha256' })],
    ['RSA 2048, SHA-384', ['leaf', 'Root'], () => signed({ key: rsa2048, algorithm: 'rsaSha384' })],
    ['RSA 2048, SHA-512', ['leaf', 'Root'], () => signed({ key: rsa2048, algorithm: 'rsaSha512' })],
    ['RSA 2048, PSS', ['leaf', 'Root'], () => signed({ key: rsa2048, algorithm: 'pssSha256' })],
    ['RSA 1024', ['leaf', 'Root'], () => signed({ key: rsa1024, algorithm: 'rsaSha256' })],
    ['P-384', ['leaf', 'Root'], () => signed({ key: ecKey('P-384'), algorithm: 'ecdsaSha384' })],
    ['P-521', ['leaf', 'Root'], () => signed({ key: ecKey('P-521'), algorithm: 'ecdsaSha512' })],
    ['Ed25519', ['leaf', 'Root'], () => signed({ key: ed, algorithm: 'ed25519' })],
    [
      'a leaf key of a kind that cannot sign certificates here',
      ['leaf', 'Root'],
      () => ({ leaf: leaf(root(), { key: ecKey('secp256k1') }), anchors: [root()] }),
    ],
    [
      'an anchor signed with SHA-1: nobody looks at its signature',
      ['leaf', 'Root'],
      () => ({ leaf: leaf(root()), anchors: [root({ algorithm: 'ecdsaSha1' })] }),
    ],
  ])('%s', (_, path, build) => {
    const verdict = verify(build());
    expect(verdict).toMatchObject({ ok: true });
    expect(verdict.path.map((certificate) => certificate.commonName)).toEqual(path);
  });
});

describe('refused', () => {
  test.each<[string, PathFailure, string, () => Case]>([
    // 6.1.3 (a) (1): signature
    ['an altered leaf', 'signature', 'leaf', () => three({ leaf: { signWith: otherKey } })],
    ['an altered intermediate', 'signature', 'Int', () => three({ int: { signWith: otherKey } })],
    ['a leaf whose bytes were changed', 'signature', 'leaf', tampered],
    [
      'an ECDSA signature under an RSA key',
      'signature',
      'leaf',
      () => ({ leaf: leaf(root(), { authorityKeyId: rsaRootId() }), anchors: [root({ key: rsa2048, algorithm: 'rsaSha256' })] }),
    ],
    ['SHA-1', 'weak-algorithm', 'leaf', () => three({ leaf: { algorithm: 'ecdsaSha1' } })],
    ['SHA-1 in an intermediate', 'weak-algorithm', 'Int', () => three({ int: { algorithm: 'ecdsaSha1' } })],
    ['RSA with SHA-1', 'weak-algorithm', 'leaf', () => signed({ key: rsa2048, algorithm: 'rsaSha1' })],
    ['RSA with MD5', 'weak-algorithm', 'leaf', () => signed({ key: rsa2048, algorithm: 'rsaMd5' })],
    ['an anchor with RSA 768', 'weak-algorithm', 'leaf', () => signed({ key: shortRsa, algorithm: 'rsaSha256' })],
    ['a leaf with RSA 768', 'weak-algorithm', 'leaf', () => three({ leaf: { key: shortRsa } })],
    ['a CA on another curve', 'unsupported-algorithm', 'leaf', () => signed({ key: ecKey('secp256k1'), algorithm: 'ecdsaSha256' })],
    ['two algorithms named', 'algorithm-mismatch', 'leaf', () => three({ leaf: { innerAlgorithm: 'ecdsaSha384' } })],
    // 6.1.3 (a) (2): validity
    ['an expired leaf', 'expired', 'leaf', () => three({ leaf: { notAfter: noon - second } })],
    ['a leaf one millisecond after its last second', 'expired', 'leaf', () => three({ leaf: { notAfter: noon }, at: noon + 1 })],
    ['a leaf from tomorrow', 'not-yet-valid', 'leaf', () => three({ leaf: { notBefore: noon + second } })],
    ['an expired intermediate', 'expired', 'Int', () => three({ int: { notAfter: noon - second } })],
    ['an intermediate from tomorrow', 'not-yet-valid', 'Int', () => three({ int: { notBefore: noon + second } })],
    ['an expired anchor', 'expired', 'Root', () => three({ root: { notAfter: noon - second } })],
    ['an anchor from tomorrow', 'not-yet-valid', 'Root', () => three({ root: { notBefore: noon + second } })],
    ['an expired leaf that is itself an anchor', 'expired', 'leaf', () => alone(leaf(undefined, { notAfter: noon - second }))],
    // 6.1.3 (a) (4): name chaining, and having an issuer at all
    ['no anchors', 'issuer-not-found', 'Int', () => ({ ...three(), anchors: [] })],
    ['the intermediate is missing', 'issuer-not-found', 'leaf', () => ({ ...three(), intermediates: [] })],
    [
      'the upper intermediate is missing',
      'issuer-not-found',
      'Int 2',
      () => ({ ...four(), intermediates: four().intermediates?.slice(0, 1) ?? [] }),
    ],
    ['another issuer name with the right signature', 'issuer-not-found', 'leaf', () => three({ leaf: { issuerName: 'Somebody' } })],
    ['swapped names', 'issuer-not-found', 'Int', () => three({ leaf: { issuerName: 'leaf', subject: 'Int' } })],
    [
      'a foreign root that was sent along',
      'untrusted-root',
      'Root',
      () => withJunk((chain) => [...(chain.intermediates ?? []), ...chain.anchors], [root({ key: otherKey, subject: 'Mine' })]),
    ],
    [
      'a foreign root with the name of ours',
      'untrusted-root',
      'Root',
      () => withJunk((chain) => [...(chain.intermediates ?? []), ...chain.anchors], [root({ key: otherKey })]),
    ],
    [
      'a foreign CA with the name of ours, root not sent',
      'issuer-not-found',
      'Int',
      () => ({ ...three(), anchors: [root({ key: otherKey })] }),
    ],
    [
      'a foreign CA with the name of ours, without identifiers',
      'signature',
      'leaf',
      () => bare((top) => ({ leaf: leaf(top, { noKeyIds: true }), anchors: [root({ key: otherKey, noKeyIds: true })] })),
    ],
    ['a self-signed leaf', 'untrusted-root', 'leaf', () => ({ leaf: leaf(undefined), anchors: [root()] })],
    [
      'a self-signed leaf that is sent again as intermediate',
      'untrusted-root',
      'leaf',
      () => ({ leaf: leaf(undefined), intermediates: [leaf(undefined)], anchors: [root()] }),
    ],
    ['a circle without an anchor', 'issuer-not-found', 'Int 2', circle],
    ['eleven certificates', 'path-too-long', 'Level 9', () => tower(11)],
    // 6.1.4 (k): basic constraints, version
    ['an intermediate with CA:FALSE', 'not-a-ca', 'Int', () => three({ int: { ca: false, usages: ['keyCertSign'] } })],
    ['a device as issuer', 'not-a-ca', 'Int', () => three({ int: { ca: false } })],
    ['an intermediate without basicConstraints', 'not-a-ca', 'Int', () => three({ int: { noBasicConstraints: true } })],
    ['an intermediate of version 1', 'not-a-ca', 'Int', () => three({ int: { version: 0 }, leaf: { noKeyIds: true } })],
    ['an anchor with CA:FALSE', 'not-a-ca', 'Root', () => three({ root: { ca: false, usages: ['keyCertSign'] } })],
    ['an anchor of version 1', 'not-a-ca', 'Root', () => three({ root: { version: 0 }, int: { noKeyIds: true } })],
    // 6.1.4 (l), (m): path length
    ['intermediate exceeds pathLen', 'path-length', 'Int', () => four({ int: { pathLength: 0 } })],
    ['two intermediates exceed pathLen 1 of the anchor', 'path-length', 'Root', () => four({ root: { pathLength: 1 } })],
    ['one intermediate exceeds pathLen 0 of the anchor', 'path-length', 'Root', () => three({ root: { pathLength: 0 } })],
    // 6.1.4 (n): key usage
    ['an intermediate without keyCertSign', 'key-usage', 'Int', () => three({ int: { usages: ['digitalSignature', 'cRLSign'] } })],
    ['an anchor without keyCertSign', 'key-usage', 'Root', () => three({ root: { usages: ['cRLSign'] } })],
    ['an intermediate with an empty keyUsage', 'key-usage', 'Int', () => three({ int: { usages: [] } })],
    // 6.1.4 (o), 6.1.5 (f): critical extensions
    ['an unknown critical extension in the leaf', 'unknown-critical-extension', 'leaf', () => three({ leaf: critical('1.2.3.4') })],
    ['an unknown critical extension in an intermediate', 'unknown-critical-extension', 'Int', () => three({ int: critical('1.2.3.4') })],
    ['an unknown critical extension in the anchor', 'unknown-critical-extension', 'Root', () => three({ root: critical('1.2.3.4') })],
    ['a proxy certificate', 'unknown-critical-extension', 'leaf', () => three({ leaf: critical('1.3.6.1.5.5.7.1.14') })],
    // 6.1.3 (d) to (f), 6.1.5 (g): policies are not processed, so a demand for one cannot be met
    ['a demand for an explicit policy', 'explicit-policy', 'Int', () => three({ int: { extensions: [policyConstraints] } })],
    // 6.1.3 (b), (c), 6.1.4 (g), name constraints: see name-constraints.test.ts
  ])('%s', (_, reason, broken, build) => {
    const verdict = verify(build());
    if (verdict.ok) expect.fail('it was accepted');
    expect([verdict.reason, verdict.certificate.commonName]).toEqual([reason, broken]);
    expect(verdict.path).toContain(verdict.certificate);
    // A sentence that names the certificate.
    expect(verdict.detail).toMatch(/^[A-Z].*\.$/u);
    expect(verdict.detail).toContain(verdict.certificate.sha256.slice(0, 16));
  });

  test('names the issuer that is missing, and what to do', () => {
    expect(verify({ ...three(), intermediates: [] })).toMatchObject({
      detail: expect.stringMatching(
        /^The certificate 'CN=leaf' \(SHA-256 [0-9A-F]{16}…\) names 'CN=Int' as its issuer, and no such CA .* Upload it/u,
      ),
    });
  });

  test('cannot be made to print what a certificate says as it is', () => {
    const hostile = leaf(undefined, { subject: `x\n'\u001b[2J\u202E${'y'.repeat(500)}` });
    const verdict = verify({ leaf: hostile, anchors: [root()] });
    expect(verdict).toMatchObject({ ok: false, reason: 'untrusted-root', detail: expect.not.stringMatching(/\p{Cc}|\p{Cf}|y{200}/u) });
  });

  test('prefers the reason that got furthest', () => {
    const chain = three({ leaf: { notAfter: noon - second } });
    const junk = [int(root({ subject: 'Nobody', key: otherKey }), { key: otherKey }), leaf(undefined, { subject: 'Int', key: otherKey })];
    expect(verify({ ...chain, intermediates: [...junk, ...(chain.intermediates ?? [])] })).toMatchObject({ reason: 'expired' });
  });
});

describe('issuersOf', () => {
  const top = root();
  const middle = int(top);
  const list = (...made: readonly Made[]) => made.map((one) => one.certificate);

  test('gives those whose name chains and whose key signed', () => {
    const reissued = root({ serial: 99 });
    expect(issuersOf(middle.certificate, list(root({ key: otherKey }), top, middle, reissued))).toEqual([
      top.certificate,
      reissued.certificate,
    ]);
  });

  test('never gives the certificate itself', () => {
    expect(issuersOf(top.certificate, list(top))).toEqual([]);
  });

  test('gives none for another name, a bad or a weak signature', () => {
    expect(issuersOf(leaf(top, { issuerName: 'Else' }).certificate, list(top))).toEqual([]);
    expect(issuersOf(leaf(top, { signWith: otherKey }).certificate, list(top))).toEqual([]);
    expect(issuersOf(leaf(top, { algorithm: 'ecdsaSha1' }).certificate, list(top))).toEqual([]);
  });
});

function withJunk(intermediates: (chain: Case) => readonly Made[], anchors?: readonly Made[]): Case {
  const chain = three();
  return { ...chain, intermediates: intermediates(chain), ...(anchors === undefined ? {} : { anchors }) };
}

function bare(build: (top: Made) => Case): Case {
  return build(root({ noKeyIds: true }));
}

/** A root with this key signs a leaf. */
function signed(spec: Pick<CertificateSpec, 'key'> & Spec): Case {
  const top = root({ key: spec.key, ...(spec.algorithm === undefined ? {} : { algorithm: spec.algorithm }) });
  return { leaf: leaf(top, { ...spec, key: leafKey }), anchors: [top] };
}

function rsaRootId(): Buffer {
  return root({ key: rsa2048, algorithm: 'rsaSha256' }).keyId ?? Buffer.alloc(0);
}

/** One bit of the serial number flipped. */
function tampered(): Case {
  const chain = three();
  const der = Buffer.from(chain.leaf.der);
  const at = der.indexOf(chain.leaf.certificate.serialNumber, 'hex');
  der[at] = (der[at] ?? 0) ^ 1;
  return { ...chain, leaf: { ...chain.leaf, der, certificate: parseCertificate(der) } };
}

/** Int has a certificate from an expired root and one from a new root. */
function crossSigned(): Case {
  const old = make({ subject: 'Old', key: rootKey, ca: true, notAfter: noon - second });
  const fresh = make({ subject: 'New', key: otherKey, ca: true });
  const middle = int(old);
  return { leaf: leaf(middle), intermediates: [middle, int(fresh)], anchors: [old, fresh] };
}

/** Int and Int 2 certify each other; only Int 2 also has a certificate from the root. */
function crossSignedCircle(): Case {
  const top = root();
  const lower = int2(top);
  const middle = int(lower);
  return { leaf: leaf(middle), intermediates: [int2(middle), middle, lower], anchors: [top] };
}

/** Two CAs that certify each other, and nobody else does. */
function circle(): Case {
  const seed = int2(root());
  const middle = int(seed);
  return { leaf: leaf(middle), intermediates: [middle, int2(middle)], anchors: [make({ subject: 'Else', key: otherKey, ca: true })] };
}

function tower(size: number): Case {
  let made = make({ subject: `Level ${size - 1}`, key: rootKey, ca: true });
  const all = [made];
  for (let level = size - 2; level >= 0; level -= 1) {
    made = make({ subject: `Level ${level}`, key: level % 2 === 0 ? intKey : int2Key, issuer: made, ca: true });
    all.unshift(made);
  }
  return { leaf: made, intermediates: all.slice(1, -1), anchors: all.slice(-1) };
}

function critically(made: Buffer): Buffer {
  const [id, value] = [made.subarray(2, 2 + 2 + (made[3] ?? 0)), made.subarray(2 + 2 + (made[3] ?? 0))];
  return sequence(id, Buffer.from([0x01, 0x01, 0xff]), value);
}
