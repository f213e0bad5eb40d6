import { describe, expect, test } from 'vitest';

import { deriveDeviceKey } from '../../../src/access/device-key.ts';
import { decideAdmission } from '../../../src/provisioning/admission.ts';
import type { EnrollmentRow, StoredAttestation } from '../../../src/provisioning/ports.ts';
import { clientCertificates, disabled, group, individual, question, signedWith, type Situation } from '../../fixtures/enrollment-rows.ts';
import { noon } from '../../fixtures/pki/make-certificate.ts';
import { leaf } from '../../fixtures/pki/path-case.ts';

const minute = 60_000;
const keyOf = (n: number): string => Buffer.alloc(64, n).toString('base64');
const keys = (primary: number, secondary: number): StoredAttestation => ({
  type: 'symmetricKey',
  primaryKey: keyOf(primary),
  secondaryKey: keyOf(secondary),
});
/** The bits that base64 leaves unused in the last character say nothing, so that `Aw==` and `Ax==` are the same byte. */
const respelled = (attestation: StoredAttestation): StoredAttestation =>
  attestation.type === 'symmetricKey' ? { ...attestation, primaryKey: attestation.primaryKey.replace(/w==$/u, 'x==') } : attestation;
const derived = (n: number, id = 'dev-1'): string => deriveDeviceKey(Buffer.from(keyOf(n), 'base64'), id);
const off = (entry: EnrollmentRow): EnrollmentRow => ({ ...entry, ...disabled });

const own = individual('dev-1', keys(1, 2));
const alpha = group('alpha', keys(3, 4));
const beta = group('beta', keys(5, 6));

/** The verdict, and the reason of the step that decided. */
function decided(situation: Situation): string {
  const verdict = decideAdmission(question(situation));
  const last = verdict.trace.findLast(({ outcome }) => outcome === 'decided');
  const what = verdict.kind === 'refuse' ? `refuse ${verdict.message}` : `${verdict.kind} ${verdict.entry?.id}`;
  return `${what}: ${last?.reason ?? verdict.trace.at(-1)?.reason}`;
}

function table(cases: Readonly<Record<string, readonly [expected: string, situation: Situation]>>): void {
  for (const [name, [expected, situation]] of Object.entries(cases)) test(name, () => expect(decided(situation)).toBe(expected));
}

describe('an individual enrollment with a key', () => {
  const individuals = [own];
  const signed = (token?: Parameters<typeof signedWith>[1]): Situation => ({ presented: signedWith(keyOf(1), token), individuals });
  table({
    'lets its primary key in': ['admit dev-1: key', signed()],
    'lets its secondary key in': ['admit dev-1: key', { presented: signedWith(keyOf(2)), individuals }],
    'takes the id without case': ['admit DEV-1: key', { ...signed(), individuals: [individual('DEV-1', keys(1, 2))] }],
    'takes a resource in lower case, as IoT Edge writes it': [
      'admit Dev-1: key',
      {
        registrationId: 'Dev-1',
        presented: signedWith(keyOf(1), { resource: '0NE00000001/Registrations/dev-1' }),
        individuals: [individual('Dev-1', keys(1, 2))],
      },
    ],
    'takes a token without a key name, as Python signs it': ['admit dev-1: key', signed({ keyName: '' })],
    'refuses the name of a policy': ['refuse Unauthorized: token-key-name', signed({ keyName: 'provisioningserviceowner' })],
    'refuses another key, and groups are not consulted': [
      'refuse Unauthorized: token-signature',
      { presented: signedWith(derived(3)), individuals, groups: [alpha] },
    ],
    'takes a token that ended within the difference of clocks': ['admit dev-1: key', signed({ expiresAt: noon - 5 * minute })],
    'refuses a token that ended before': ['refuse Unauthorized: token-expired', signed({ expiresAt: noon - 5 * minute - 1000 })],
    'refuses a token for another id': ['refuse Unauthorized: token-other-id', signed({ resource: '0ne00000001/registrations/dev-2' })],
    'refuses a token for another id scope': [
      'refuse Unauthorized: token-other-scope',
      signed({ resource: '0ne00000002/registrations/dev-1' }),
    ],
    'refuses a token for a hub': ['refuse Unauthorized: token-resource', signed({ resource: 'hub.example.org/devices/dev-1' })],
    'refuses a token for the whole service': ['refuse Unauthorized: token-resource', signed({ resource: '0ne00000001' })],
    'refuses a token for something below': [
      'refuse Unauthorized: token-resource',
      signed({ resource: '0ne00000001/registrations/dev-1/register' }),
    ],
    'refuses what is no token': [
      'refuse Unauthorized: unreadable-token',
      { presented: { kind: 'unreadable', what: 'token', detail: 'No token.' }, individuals },
    ],
    'refuses a certificate': ['refuse Unauthorized: credential-mismatch', { leaf: leaf(undefined, { subject: 'dev-1' }), individuals }],
    'disabled, shuts out': ['disabled dev-1: disabled', { ...signed(), individuals: [off(own)] }],
    'disabled, shuts out although the group would let in': [
      'disabled dev-1: disabled',
      { presented: signedWith(derived(3)), individuals: [off(own)], groups: [alpha] },
    ],
    'disabled for a certificate, shuts a key out': [
      'disabled dev-1: disabled',
      { ...signed(), individuals: [off(individual('dev-1', clientCertificates(leaf(undefined, { subject: 'dev-1' }))))] },
    ],
    'disabled, does not answer for another id': [
      'refuse Unauthorized: token-other-id',
      { ...signed({ resource: '0ne00000001/registrations/dev-2' }), individuals: [off(own)] },
    ],
  });

  test('gives the hub its own keys', () => {
    expect(decideAdmission(question(signed()))).toMatchObject({
      kind: 'admit',
      proof: { type: 'symmetricKey', primaryKey: keyOf(1), secondaryKey: keyOf(2) },
    });
  });

  test('never shows a key in the trace', () => {
    for (const presented of [signedWith(keyOf(1)), signedWith(keyOf(9)), signedWith(derived(3))]) {
      const { trace } = decideAdmission(question({ presented, individuals, groups: [alpha] }));
      for (const key of [keyOf(1), keyOf(2), keyOf(3), derived(3)]) expect(JSON.stringify(trace)).not.toContain(key);
    }
  });
});

describe('enrollment groups with a key', () => {
  const groups = [alpha, beta];
  table({
    'let in a key derived from a primary key': ['admit beta: derived-key', { presented: signedWith(derived(5)), groups }],
    'let in a key derived from a secondary key': ['admit beta: derived-key', { presented: signedWith(derived(6)), groups }],
    'let in a key derived from the id as it is spelled': [
      'admit beta: derived-key',
      { registrationId: 'Dev-1', presented: signedWith(derived(5, 'Dev-1')), groups },
    ],
    'let in a key derived from the id in lower case': [
      'admit beta: derived-key',
      { registrationId: 'Dev-1', presented: signedWith(derived(5)), groups },
    ],
    'refuse their own key': ['refuse Unauthorized: token-signature', { presented: signedWith(keyOf(3)), groups }],
    'refuse the key of another device': ['refuse Unauthorized: token-signature', { presented: signedWith(derived(3, 'dev-2')), groups }],
    'refuse an expired token': [
      'refuse Unauthorized: token-expired',
      { presented: signedWith(derived(3), { expiresAt: noon - 6 * minute }), groups },
    ],
    'disabled, shut out': ['disabled beta: disabled', { presented: signedWith(derived(5)), groups: [alpha, off(beta)] }],
    'disabled, refuse an expired token': [
      'refuse Unauthorized: token-expired',
      { presented: signedWith(derived(5), { expiresAt: noon - 6 * minute }), groups: [off(beta)] },
    ],
    'of which a disabled one has the same key, shut out': [
      'disabled twin: disabled',
      { presented: signedWith(derived(3)), groups: [alpha, off(group('twin', keys(8, 3)))] },
    ],
    'of which a disabled one has the same key in another spelling, shut out': [
      'disabled twin: disabled',
      { presented: signedWith(derived(3)), groups: [alpha, off(group('twin', respelled(keys(3, 8))))] },
    ],
    'of which none exists, refuse': ['refuse Unauthorized: equal', { presented: signedWith(derived(3)) }],
  });

  test('give the hub the derived keys, both from the spelling that matched', () => {
    expect(decideAdmission(question({ registrationId: 'Dev-1', presented: signedWith(derived(6)), groups }))).toMatchObject({
      proof: { type: 'symmetricKey', primaryKey: derived(5), secondaryKey: derived(6) },
    });
  });

  test('stand in the trace, each with the reason why it lost', () => {
    const { trace } = decideAdmission(question({ presented: signedWith(keyOf(5)), groups }));
    expect(trace.slice(2).map(({ outcome, reason, entry }) => [outcome, reason, entry?.id])).toEqual([
      ['lost', 'token-signature', 'alpha'],
      ['lost', 'group-key-used-directly', 'beta'],
    ]);
  });

  test('beyond a hundred are counted in the trace, except for the one whose own key was used', () => {
    const many = Array.from({ length: 250 }, (_, at) => group(`group-${at}`, keys(10 + (at % 200), 9)));
    const { trace } = decideAdmission(question({ presented: signedWith(keyOf(209)), groups: many }));
    const steps = trace.filter(({ subject }) => subject === 'group');
    expect(steps).toHaveLength(101);
    expect(steps.filter(({ reason }) => reason === 'group-key-used-directly').map(({ entry }) => entry?.id)).toEqual(['group-199']);
    expect(steps.at(-1)?.sentence).toContain('150 other enrollment groups');
  });

  test('vouch for a device that an individual enrollment shuts out', () => {
    const shutOut = (presented: Situation['presented']) =>
      decideAdmission(question({ presented: presented!, individuals: [off(own)], groups }));
    expect(shutOut(signedWith(derived(3)))).toMatchObject({ kind: 'disabled', authenticated: true });
    expect(shutOut(signedWith(keyOf(1)))).toMatchObject({ kind: 'disabled', authenticated: true });
    expect(shutOut(signedWith(keyOf(9)))).toMatchObject({ kind: 'disabled', authenticated: false });
    expect(shutOut(signedWith(derived(3), { expiresAt: noon - 6 * minute }))).toMatchObject({ kind: 'disabled', authenticated: false });
  });
});
