import { describe, expect, test } from 'vitest';

import { maxSignatureChecks } from '../../../src/pki/path-search.ts';
import { ecKey, type Made, make } from '../../fixtures/pki/make-certificate.ts';
import { int, leaf, otherKey, root, rootKey, three, verify } from '../../fixtures/pki/path-case.ts';

describe('bounded', () => {
  // Strangers who all have the name of a trusted root and name each other as issuers.
  const strangers = (count: number): readonly Made[] =>
    Array.from({ length: count }, (_, index) =>
      make({ subject: 'Root', key: keys[index % keys.length] ?? rootKey, ca: true, noKeyIds: true, serial: index + 1 }),
    );
  const keys = Array.from({ length: 40 }, () => ecKey());

  test('a crowd of namesakes is given up, at once', () => {
    const crowd = strangers(200);
    const anchors = [root({ key: otherKey, noKeyIds: true })];
    const end = leaf(root(), { noKeyIds: true });
    for (const made of [...crowd, ...anchors, end]) expect(made.certificate.version).toBe(3);
    const started = performance.now();
    const verdict = verify({ leaf: end, intermediates: crowd, anchors });
    expect(performance.now() - started).toBeLessThan(500);
    expect(verdict).toMatchObject({ ok: false, reason: 'search-limit' });
  });

  test('more signatures than anybody needs are not checked', () => {
    const anchors = Array.from({ length: maxSignatureChecks + 1 }, (_, index) =>
      root({ key: otherKey, noKeyIds: true, serial: index + 1 }),
    );
    const end = leaf(root(), { noKeyIds: true });
    expect(verify({ leaf: end, anchors })).toMatchObject({ ok: false, reason: 'search-limit' });
    expect(verify({ leaf: end, anchors: anchors.slice(1) })).toMatchObject({ ok: false, reason: 'signature' });
  });

  test('a crowd does not hide the right path when key identifiers show it', () => {
    const chain = three();
    const crowd = Array.from({ length: 100 }, (_, index) =>
      int(root({ key: keys[index % 40] ?? rootKey }), { key: keys[(index + 7) % 40] ?? rootKey }),
    );
    expect(
      verify({ ...chain, intermediates: [...crowd, ...(chain.intermediates ?? [])], anchors: [...crowd.slice(0, 20), ...chain.anchors] }),
    ).toMatchObject({ ok: true });
  });

  test('20 roots and 20 intermediates of the same names, as certGen.sh makes them everywhere, without identifiers', () => {
    const pairs = keys.slice(0, 20).map((key, index) => {
      const top = root({ key, noKeyIds: true });
      return { top, middle: int(top, { key: keys[index + 20] ?? key, noKeyIds: true }) };
    });
    const last = pairs[19];
    if (last === undefined) expect.fail();
    const anchors = [...pairs.map((pair) => pair.top), ...pairs.map((pair) => pair.middle)];
    expect(verify({ leaf: leaf(last.middle, { noKeyIds: true }), anchors })).toMatchObject({ ok: true });
  });
});
