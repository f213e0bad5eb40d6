import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { instant } from '../../../src/kernel/clock.ts';
import { type PathFailure, type PathVerdict, verifyPath } from '../../../src/pki/verify-path.ts';
import { noon } from '../../fixtures/pki/make-certificate.ts';
import { type OpenSsl, openOpenSsl } from '../../fixtures/pki/openssl.ts';
import { type Chain, randomChain, seededRandom } from '../../fixtures/pki/random-chain.ts';
import { differences } from './openssl-differences.ts';

/**
 * The same question to Muster and to `openssl verify`, at security level 1 and with any trusted certificate
 * ending a path, which is what `verifyPath` promises.
 */

const chains = 450;
const seed = 5280;

/** OpenSSL's error numbers (X509_V_ERR_…) and the names that Muster may give to the same thing. */
const sameThing: Readonly<Record<number, readonly PathFailure[]>> = {
  2: ['issuer-not-found'],
  7: ['signature', 'algorithm-mismatch'],
  9: ['not-yet-valid'],
  10: ['expired'],
  18: ['untrusted-root'],
  // A foreign root beside a trusted namesake: without key identifiers it may also be ours, and the signature bad.
  19: ['untrusted-root', 'signature'],
  // OpenSSL does not even consider an issuer without keyCertSign, or whose key is of another kind than announced.
  20: ['issuer-not-found', 'key-usage', 'algorithm-mismatch', 'signature'],
  24: ['not-a-ca'],
  25: ['path-length'],
  32: ['key-usage'],
  34: ['unknown-critical-extension'],
  47: ['name-constraints'],
  48: ['name-constraints'],
  51: ['name-constraints'],
  53: ['name-constraints'],
  66: ['weak-algorithm'],
  67: ['weak-algorithm'],
  68: ['weak-algorithm'],
  // To OpenSSL a CA without keyCertSign is none.
  79: ['not-a-ca', 'key-usage'],
};

type Answer = { readonly ok: true } | { readonly ok: false; readonly error: number };

let openssl: OpenSsl;
beforeAll(() => {
  openssl = openOpenSsl();
});
afterAll(() => openssl.close());

describe('Muster and openssl verify agree', () => {
  test(`on ${chains} generated chains`, async () => {
    const random = seededRandom(seed);
    const all = Array.from({ length: chains }, () => randomChain(random));
    const answers = await inParallel(all, (chain, index) => ask(chain, `c${index}`));
    const counts = { accepted: 0, refused: 0 };
    const disagreements = all.flatMap((chain, index) => {
      const muster = verify(chain);
      counts[muster.ok ? 'accepted' : 'refused'] += 1;
      return compare({ chain, muster, openssl: answers[index] });
    });
    expect(disagreements).toEqual([]);
    // Both kinds must be well represented, and every defect must really be one.
    expect(counts.accepted).toBeGreaterThan(chains / 8);
    expect(counts.refused).toBeGreaterThan(chains / 2);
    expect(all.filter((chain) => chain.defects === 0 && !verify(chain).ok).map((chain) => chain.story)).toEqual([]);
    expect(all.filter((chain) => chain.defects > 0 && verify(chain).ok).map((chain) => chain.story)).toEqual([]);
  });
});

describe('Muster and openssl verify differ, and this is why', () => {
  test.each(differences)('$name: $why', async ({ name, build, muster, openssl: expected, at = noon }) => {
    const chain = build();
    const verdict = verify(chain, at);
    expect(verdict.ok ? 'ok' : verdict.reason).toBe(muster);
    const answer = await ask(chain, name, at);
    expect(answer.ok ? 'ok' : answer.error).toBe(expected);
  });
});

function verify({ leaf, intermediates, anchors }: Pick<Chain, 'leaf' | 'intermediates' | 'anchors'>, at = noon): PathVerdict {
  return verifyPath(leaf.certificate, {
    intermediates: intermediates.map((made) => made.certificate),
    anchors: anchors.map((made) => made.certificate),
    at: instant(at),
  });
}

function compare({
  chain,
  muster,
  openssl: answer,
}: {
  chain: Chain;
  muster: PathVerdict;
  openssl: Answer | undefined;
}): readonly string[] {
  const ours = muster.ok ? 'ok' : muster.reason;
  const theirs = answer === undefined || answer.ok ? 'ok' : `error ${answer.error}`;
  const told = `Muster: ${ours}, openssl: ${theirs} (${chain.story})`;
  if (answer?.ok !== muster.ok) return [told];
  if (answer.ok || muster.ok || chain.defects !== 1) return [];
  return sameThing[answer.error]?.includes(muster.reason) === true ? [] : [told];
}

async function ask(
  { leaf, intermediates, anchors }: Pick<Chain, 'leaf' | 'intermediates' | 'anchors'>,
  name: string,
  at = noon,
): Promise<Answer> {
  const trusted = openssl.write(`${name}-trusted.pem`, anchors.map((made) => made.pem).join(''));
  const untrusted =
    intermediates.length === 0
      ? []
      : ['-untrusted', openssl.write(`${name}-untrusted.pem`, intermediates.map((made) => made.pem).join(''))];
  const end = openssl.write(`${name}-leaf.pem`, leaf.pem);
  const { code, output } = await openssl.run(
    'verify',
    '-partial_chain',
    '-auth_level',
    '1',
    '-attime',
    String(at / 1000),
    '-trusted',
    trusted,
    ...untrusted,
    end,
  );
  if (code === 0) return { ok: true };
  const error = /^error (\d+) at/mu.exec(output)?.[1];
  if (error === undefined) throw new Error(`openssl gave no verdict: ${output}`);
  return { ok: false, error: Number(error) };
}

/** Two at a time: enough to keep a small machine busy. */
async function inParallel<T, R>(items: readonly T[], work: (item: T, index: number) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const lane = async (): Promise<void> => {
    for (const [index, item] of queue) results[index] = await work(item, index);
  };
  await Promise.all([lane(), lane()]);
  return results;
}
