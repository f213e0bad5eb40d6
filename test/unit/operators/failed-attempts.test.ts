import { expect, test } from 'vitest';

import { createFailedAttempts } from '../../../src/operators/failed-attempts.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

test('whoever changes its address within its network is known', () => {
  const attempts = createFailedAttempts({ clock: new FakeClock() });
  for (let at = 1; at <= 5; at += 1) attempts.failed(`2001:db8:1:2::${at}`);
  expect(attempts.waitSeconds('2001:db8:1:2:ffff::1')).toBe(1);
  expect(attempts.waitSeconds('2001:db8:1:3::1')).toBe(0);
});
