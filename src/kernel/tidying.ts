import { type Clock, hours, minutes } from './clock.ts';
import type { Logger } from './logger.ts';
import { createRounds } from './rounds.ts';

/** Keeps what grows with every refusal within bounds, once told to and then every hour. */
export interface Tidying {
  /** Tidies once; resolves when it is done. */
  start(): Promise<void>;
  /** To be told of every row that is stored; a flood of them does not wait for its hour. */
  onStored(): void;
  /** Tidies no more; resolves when the last round has ended. */
  close(): Promise<void>;
}

/** `tidy` returns what it removed, for the log. */
export function createTidying(deps: {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Rows after which it is time again. */
  readonly rowsBetween: number;
  readonly tidy: () => Promise<Readonly<Record<string, number>>>;
}): Tidying {
  const { name, clock, log } = deps;
  let stored = 0;

  async function round(): Promise<void> {
    stored = 0;
    const forgotten = await deps.tidy();
    if (Object.values(forgotten).some((count) => count > 0)) log.info(`${name}.tidied`, forgotten);
  }

  const rounds = createRounds({ clock, interval: hours(1), round, onFailure: (error) => log.error(`${name}.tidy-failed`, { error }) });

  return {
    start: () => rounds.now(),
    onStored() {
      stored += 1;
      // Later, since this is called within the write of the row, and a write must not wait for another.
      if (stored === deps.rowsBetween) clock.after(minutes(1), () => void rounds.now());
    },
    close: () => rounds.close(),
  };
}
