import { describe, expect, test } from 'vitest';

import { instant } from '../../../src/kernel/clock.ts';
import { type ProofFailure, verifyProofOfPossession } from '../../../src/pki/proof-of-possession.ts';
import { ecKey, type Made, make, noon } from '../../fixtures/pki/make-certificate.ts';

const code = '75B86466DA34D2B04C0C4C9557A119687ADAE7D4732BDDB3';
const [caKey, otherKey, intKey, key] = [ecKey(), ecKey(), ecKey(), ecKey()];
const ca = make({ subject: 'Root', key: caKey, ca: true });
const int = make({ subject: 'Int', key: intKey, ca: true, issuer: ca });

const prove = (proof: Made, verificationCode = code, by = ca) =>
  verifyProofOfPossession({ ca: by.certificate, proof: proof.certificate, verificationCode, at: instant(noon) });

describe('accepted', () => {
  test.each<[string, () => Made, Made]>([
    ['issued by a root', () => make({ subject: code, key, issuer: ca }), ca],
    ['issued by an intermediate', () => make({ subject: code, key, issuer: int }), int],
    [
      'with the code as the last of several CNs',
      () =>
        make({
          subject: [
            ['CN', 'x'],
            ['O', 'Acme'],
            ['CN', code],
          ],
          key,
          issuer: ca,
        }),
      ca,
    ],
    ['without any extension', () => make({ subject: code, key, issuer: ca, version: 0 }), ca],
  ])('%s', (_, build, by) => expect(prove(build(), code, by)).toEqual({ ok: true }));
});

describe('refused', () => {
  const expiredCa = make({ subject: 'Root', key: caKey, ca: true, notAfter: noon - 1000 });
  const device = make({ subject: 'device', key: otherKey });

  test.each<[string, ProofFailure, () => Made, string?, Made?]>([
    ['another code', 'wrong-common-name', () => make({ subject: 'AAAA', key, issuer: ca })],
    ['the code in other letters', 'wrong-common-name', () => make({ subject: code.toLowerCase(), key, issuer: ca })],
    ['the code with a blank', 'wrong-common-name', () => make({ subject: `${code} `, key, issuer: ca })],
    ['the code as organisation', 'wrong-common-name', () => make({ subject: [['O', code]], key, issuer: ca })],
    [
      'the code as the first of two CNs',
      'wrong-common-name',
      () =>
        make({
          subject: [
            ['CN', code],
            ['CN', 'x'],
          ],
          key,
          issuer: ca,
        }),
    ],
    ['an empty code, when none was generated', 'wrong-common-name', () => make({ subject: '', key, issuer: ca }), ''],
    ['no CN and an empty code', 'wrong-common-name', () => make({ subject: [], key, issuer: ca }), ''],
    ['self-signed', 'untrusted-root', () => make({ subject: code, key })],
    ['issued by another CA', 'issuer-not-found', () => make({ subject: code, key, issuer: int })],
    ['signed with another key in the name of the CA', 'signature', () => make({ subject: code, key, issuer: ca, signWith: otherKey })],
    ['issued by an intermediate of the CA', 'issuer-not-found', () => make({ subject: code, key, issuer: int })],
    ['expired', 'expired', () => make({ subject: code, key, issuer: ca, notAfter: noon - 1000 })],
    ['not yet valid', 'not-yet-valid', () => make({ subject: code, key, issuer: ca, notBefore: noon + 1000 })],
    ['SHA-1', 'weak-algorithm', () => make({ subject: code, key, issuer: ca, algorithm: 'ecdsaSha1' })],
    ['by a CA that has expired', 'expired', () => make({ subject: code, key, issuer: expiredCa }), code, expiredCa],
    ['by a certificate that is no CA', 'not-a-ca', () => make({ subject: code, key, issuer: device }), code, device],
    ['the CA certificate itself', 'not-issued-by-ca', () => ca, 'Root'],
  ])('%s', (_, reason, build, verificationCode, by) => {
    const verdict = prove(build(), verificationCode, by);
    expect(verdict).toMatchObject({ ok: false, reason, detail: expect.stringMatching(/^[A-Z].*\.$/u) });
  });
});
