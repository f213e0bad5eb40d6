import { describe, expect, test } from 'vitest';
import { allows, firstEtagCounter, renderDeviceEtag, renderTwinEtag } from '../../../src/hub/etag.ts';
import { createGenerations } from '../../../src/hub/generation.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';

describe('etags', () => {
  test('of an identity: base64 of decimal digits, as recorded from the service', () => {
    expect(renderDeviceEtag(177458891)).toBe('MTc3NDU4ODkx');
  });

  test('of a twin: base64 of eight bytes, as recorded from the service', () => {
    expect(renderTwinEtag(1)).toBe('AAAAAAAAAAE=');
    expect(renderTwinEtag(258)).toBe('AAAAAAAAAQI=');
  });

  test('of a new identity start at nine digits that differ', () => {
    const ids = new FakeIds();
    const draws = Array.from({ length: 100 }, () => firstEtagCounter(ids));
    expect(new Set(draws).size).toBe(100);
    expect(draws.every((draw) => /^\d{9}$/u.test(String(draw)))).toBe(true);
  });

  test.each([
    [{ kind: 'absent' } as const, true],
    [{ kind: 'any' } as const, true],
    [{ kind: 'etag', etag: 'current' } as const, true],
    [{ kind: 'etag', etag: 'stale' } as const, false],
  ])('%j allows a change: %s', (precondition, allowed) => {
    expect(allows(precondition, 'current')).toBe(allowed);
  });
});

describe('generation ids', () => {
  test('are .NET ticks of now', () => {
    const clock = new FakeClock();
    const ticks = BigInt(createGenerations({ clock, ids: new FakeIds() })());
    expect((ticks - 621355968000000000n) / 10000n).toBe(BigInt(clock.now()));
  });

  test('grow although time stands still or goes back', () => {
    const clock = new FakeClock();
    const next = createGenerations({ clock, ids: new FakeIds() });
    const drawn = Array.from({ length: 200 }, (_, at) => {
      if (at === 100) clock.advance(-3_600_000);
      return BigInt(next());
    });
    expect(drawn.every((value, at) => at === 0 || value > (drawn[at - 1] ?? 0n))).toBe(true);
  });
});
