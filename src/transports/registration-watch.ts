import { limits } from '../contracts/limits.ts';
import { type Clock, minutes } from '../kernel/clock.ts';

/** Ends a connection to the provisioning service on which nothing is registered. */
export interface RegistrationWatch {
  /** A request was answered with what it asked for: the time begins anew. Refusals do not count. */
  answered(): void;
  /** The connection has ended, or is there for something else as well. */
  stop(): void;
}

/** Nobody is authenticated on a connection to the provisioning service, so being alive is no reason to keep one. */
export function watchRegistrations({ clock, onIdle }: { readonly clock: Clock; readonly onIdle: () => void }): RegistrationWatch {
  const start = () => clock.after(minutes(limits.registrationIdleMinutes), onIdle);
  let cancel = start();
  let stopped = false;
  return {
    answered() {
      cancel();
      if (!stopped) cancel = start();
    },
    stop() {
      stopped = true;
      cancel();
    },
  };
}
