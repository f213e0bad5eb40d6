import type { Certificate } from '../../pki/certificate.ts';
import { issuersOf } from '../../pki/verify-path.ts';

/**
 * How far above `leaf` each certificate of `pool` stands that issued it, directly (1) or through others: by SHA-256.
 *
 * Counts every issuer whose key really signed, not only those of the one path that was validated: a CA that was
 * re-issued under the same key is the issuer under each of its certificates, and a group disabled for one of them
 * must not be evaded by sending another. For the same reason it goes on above a trusted intermediate. `pool` must hold no
 * certificate that only a stranger vouches for.
 */
export function issuerLevels(leaf: Certificate, pool: readonly Certificate[]): ReadonlyMap<string, number> {
  const levels = new Map<string, number>();
  let below: readonly Certificate[] = [leaf];
  for (let level = 1; below.length > 0; level += 1) {
    const above = below.flatMap((certificate) => issuersOf(certificate, pool)).filter(({ sha256 }) => !levels.has(sha256));
    for (const { sha256 } of above) levels.set(sha256, level);
    below = [...new Map(above.map((certificate) => [certificate.sha256, certificate])).values()];
  }
  return levels;
}

/**
 * Those of `sent` that a certificate of `stored` vouches for, directly or through others of them. Only such keys are used
 * to look further, as in path validation.
 */
export function vouchedFor(sent: readonly Certificate[], stored: readonly Certificate[]): readonly Certificate[] {
  const vouched: Certificate[] = [];
  let open = sent;
  for (;;) {
    const found = open.filter((certificate) => issuersOf(certificate, [...stored, ...vouched]).length > 0);
    if (found.length === 0) return vouched;
    vouched.push(...found);
    open = open.filter((certificate) => !found.includes(certificate));
  }
}
