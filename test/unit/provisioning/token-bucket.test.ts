import fc from 'fast-check';
import { expect, test } from 'vitest';

import { instant, milliseconds, plus, seconds } from '../../../src/kernel/clock.ts';
import { drawToken, fullBucket, type Rate } from '../../../src/provisioning/token-bucket.ts';

const rates = fc
  .record({ count: fc.integer({ min: 1, max: 5000 }), per: fc.integer({ min: 1, max: 120_000 }) })
  .map(({ count, per }): Rate => ({ count, per: milliseconds(per) }));
/** Milliseconds between draws; now and then the clock goes back. */
const steps = fc.array(fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: -2000, max: 0 })), { maxLength: 200 });

test('in any stretch of time no more is let through than the bucket held and the rate gives', () => {
  fc.assert(
    fc.property(rates, steps, (rate, gaps) => {
      let now = instant(1_000_000);
      let bucket = fullBucket(rate, now);
      let latest = now;
      const start = now;
      let taken = 0;
      for (const gap of gaps) {
        now = instant(now + gap);
        latest = instant(Math.max(latest, now));
        const drawn = drawToken(bucket, rate, now);
        bucket = drawn.bucket;
        if (drawn.ok) taken += 1;
        expect(taken).toBeLessThanOrEqual(rate.count + ((latest - start) * rate.count) / rate.per + 1e-6);
        expect(bucket.tokens).toBeGreaterThanOrEqual(0);
        expect(bucket.tokens).toBeLessThanOrEqual(rate.count);
      }
    }),
  );
});

test('whoever waits as told is let through, and not a millisecond was asked for in vain', () => {
  fc.assert(
    fc.property(rates, steps, (rate, gaps) => {
      let now = instant(1_000_000);
      let bucket = fullBucket(rate, now);
      for (const gap of gaps) {
        now = instant(now + gap);
        const drawn = drawToken(bucket, rate, now);
        bucket = drawn.bucket;
        if (drawn.ok) continue;
        expect(drawn.wait).toBeGreaterThan(0);
        expect(drawToken(bucket, rate, plus(now, drawn.wait)).ok).toBe(true);
      }
    }),
  );
});

test('a wait that fractions make a hair too short is long enough', () => {
  for (let count = 1; count <= 300; count += 1) {
    for (const per of [7, 999, 60_000, 119_993]) {
      const rate: Rate = { count, per: milliseconds(per) };
      let [bucket, now] = [fullBucket(rate, instant(0)), instant(0)];
      for (let draw = 0; draw < count + 20; draw += 1) {
        const drawn = drawToken(bucket, rate, now);
        bucket = drawn.bucket;
        if (drawn.ok) continue;
        now = plus(now, drawn.wait);
        const again = drawToken(bucket, rate, now);
        expect([count, per, again.ok]).toEqual([count, per, true]);
        bucket = again.bucket;
      }
    }
  }
});

test('a full bucket gives its period at once, then one by one', () => {
  const rate = { count: 3, per: seconds(60) };
  let bucket = fullBucket(rate, instant(0));
  for (const ok of [true, true, true, false]) {
    const drawn = drawToken(bucket, rate, instant(0));
    bucket = drawn.bucket;
    expect(drawn.ok).toBe(ok);
    if (!drawn.ok) expect(drawn.wait).toBe(20_000);
  }
  expect(drawToken(bucket, rate, instant(19_999)).ok).toBe(false);
  expect(drawToken(bucket, rate, instant(20_000)).ok).toBe(true);
});
