import { clockSkew } from '../access/shared-access.ts';
import { milliseconds, plus } from '../kernel/clock.ts';
import { judgePolicyToken } from './authorize.ts';
import type { CutDeps } from './cut.ts';
import type { HubStorage } from './ports.ts';
import type { Hub } from './service.ts';
import { busKeys } from './stamps.ts';

/**
 * What a service keeps open ends with its token, and when the key or the right of its policy is gone. It joins the bus before it
 * is judged for the last time, so that no change of the policy falls in between.
 */
export function createOpenServiceSession(deps: CutDeps & { readonly storage: HubStorage }): Hub['openServiceSession'] {
  const { bus, clock, log } = deps;
  return async (proof, session) => {
    const request = { ...proof, path: '/messages/events', right: 'ServiceConnect' } as const;
    const { stamp } = await judgePolicyToken(deps, request);
    const leave = bus.attend(session, busKeys([stamp]));
    try {
      const { expiresAt } = await judgePolicyToken(deps, request);
      // Tokens are taken for as long as clocks may differ after their end, so what they opened stays as long.
      const left = Math.max(0, plus(expiresAt, milliseconds(clockSkew)) - clock.now());
      const stopTimer = clock.after(milliseconds(left), () => {
        session
          .cut('token-expired')
          .catch((error: unknown) => log.error('session.cut.failed', { hub: proof.hub, reason: 'token-expired', error }));
      });
      return () => {
        stopTimer();
        leave();
      };
    } catch (error) {
      leave();
      throw error;
    }
  };
}
