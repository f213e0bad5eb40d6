import fc from 'fast-check';
import { expect, test } from 'vitest';

import { createSasToken } from '../../../src/access/sas-token.ts';
import { checkSharedAccess, type SharedAccessPolicy } from '../../../src/access/shared-access.ts';
import { hours, instant, plus } from '../../../src/kernel/clock.ts';

const now = instant(Date.parse('2026-01-01T00:00:00Z'));
const key = (seed: number): string => Buffer.alloc(32, seed).toString('base64');
const policy = (primary: number, secondary: number, rights: readonly string[] = ['Read']): SharedAccessPolicy => ({
  keyName: 'owner',
  primaryKey: key(primary),
  secondaryKey: key(secondary),
  rights,
});
const tokenOf = (seed: number, resource = 'hub.example/devices'): string =>
  createSasToken({ resource, base64Key: key(seed), expiresAt: plus(now, hours(1)), keyName: 'owner' });

const check = (authorization: string, policies: readonly SharedAccessPolicy[], { at = now, resource = 'hub.example/devices/a' } = {}) =>
  checkSharedAccess({ authorization, policies, resource, rights: ['Read'], now: at });

test('a token that was good a moment ago is not, once its key is renewed', () => {
  const token = tokenOf(1);
  expect(check(token, [policy(1, 2)])).toMatchObject({ ok: true, key: 'primaryKey' });
  expect(check(token, [policy(1, 2)])).toMatchObject({ ok: true, key: 'primaryKey' });
  expect(check(token, [policy(3, 2)])).toEqual({ ok: false, reason: 'signature' });
  // Keys that were swapped: it is the same key, in the other place.
  expect(check(token, [policy(2, 1)])).toMatchObject({ ok: true, key: 'secondaryKey' });
  expect(check(token, [])).toEqual({ ok: false, reason: 'policy' });
});

test('a token that was good a moment ago ends, and reaches no further', () => {
  const token = tokenOf(4);
  expect(check(token, [policy(4, 5)]).ok).toBe(true);
  expect(check(token, [policy(4, 5)], { at: plus(now, hours(2)) })).toEqual({ ok: false, reason: 'expired' });
  expect(check(token, [policy(4, 5)], { resource: 'hub.example/twins/a' })).toEqual({ ok: false, reason: 'resource' });
  expect(check(token, [policy(4, 5, ['Write'])])).toEqual({ ok: false, reason: 'right' });
  expect(check(`${token}&`, [policy(4, 5)]).ok).toBe(false);
});

test('whatever came before, the verdict is the one of a first look', () => {
  const seed = fc.integer({ min: 1, max: 4 });
  const step = fc.record({ signer: seed, primary: seed, secondary: seed, isOver: fc.boolean() }, { noNullPrototype: true });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      for (const { signer, primary, secondary, isOver } of steps) {
        const verdict = check(tokenOf(signer), [policy(primary, secondary)], { at: isOver ? plus(now, hours(2)) : now });
        const signed = signer === primary || signer === secondary;
        if (!signed) expect(verdict).toEqual({ ok: false, reason: 'signature' });
        else if (isOver) expect(verdict).toEqual({ ok: false, reason: 'expired' });
        else expect(verdict).toMatchObject({ ok: true, key: signer === primary ? 'primaryKey' : 'secondaryKey' });
      }
    }),
  );
});
