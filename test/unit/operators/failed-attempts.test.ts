import { expect, test } from 'vitest';

import { minutes } from '../../../src/kernel/clock.ts';
import { createFailedAttempts, neighbourhood } from '../../../src/operators/failed-attempts.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:db8::9', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['2001:0db8:0001:0002::1', '2001:db8:1:2::/64'],
])('%s counts as %s', (address, counted) => {
  expect(neighbourhood(address)).toBe(counted);
});

test('whoever changes its address within its network is known', () => {
  const attempts = createFailedAttempts({ clock: new FakeClock() });
  for (let at = 1; at <= 5; at += 1) attempts.failed(`2001:db8:1:2::${at}`);
  expect(attempts.waitSeconds('2001:db8:1:2:ffff::1')).toBe(1);
  expect(attempts.waitSeconds('2001:db8:1:3::1')).toBe(0);
});

test('a flood of addresses is bounded in memory, and in the audit trail', () => {
  const clock = new FakeClock();
  const attempts = createFailedAttempts({ clock });
  const told = Array.from({ length: 20_000 }, (_, at) => attempts.failed(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`).isAudited);
  expect(told.filter(Boolean)).toHaveLength(100);
  clock.advance(minutes(15));
  expect(attempts.failed('10.0.0.1')).toEqual({ failures: 1, isAudited: true });
});
