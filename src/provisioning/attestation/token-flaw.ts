import type { SasToken } from '../../access/sas-token.ts';
import { isExpired } from '../../access/shared-access.ts';
import { renderTimestamp } from '../../contracts/timestamp.ts';
import type { Instant } from '../../kernel/clock.ts';
import { printable } from '../../pki/printable.ts';

/** What is wrong with a token that has the right signature, for the right registration (1.7 steps 1 and 5). */
export function tokenFlaw(
  { keyName, expiresAt }: SasToken,
  at: Instant,
): { readonly reason: 'token-key-name' | 'token-expired'; readonly sentence: string } | undefined {
  if (keyName !== undefined && keyName.toLowerCase() !== 'registration') {
    const sentence = `The token names the policy ${printable(keyName)}. Devices sign with skn=registration, or without skn.`;
    return { reason: 'token-key-name', sentence };
  }
  if (!isExpired(expiresAt, at)) return undefined;
  const sentence = `The token ended at ${renderTimestamp(expiresAt)}, and it is ${renderTimestamp(at)} now. Check the clock of the device.`;
  return { reason: 'token-expired', sentence };
}
