import { type Clock, minutes } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { createRounds, type Rounds } from '../kernel/rounds.ts';
import type { FleetStorage } from './ports.ts';

/** Few enough for one write that nobody notices it between two others. */
const blocksPerWrite = 500;

/**
 * Notes the end of blocks in the audit trail, within a minute. That a block covers nobody any more does not wait for it: the
 * rule looks at the time.
 */
export function createBlockEndings(deps: { readonly storage: FleetStorage; readonly clock: Clock; readonly log: Logger }): Rounds {
  const { storage, clock, log } = deps;
  const round = async (): Promise<void> => {
    const due = { now: clock.now(), limit: blocksPerWrite };
    let found = (await storage.read.blocks.ended(due)).length;
    while (found > 0) {
      found = await storage.write(async ({ blocks }) => {
        const ended = await blocks.ended(due);
        for (const { id } of ended) await blocks.noteEnd(id, due.now);
        return ended.length;
      });
      log.info('fleet.blocks-ended', { blocks: found });
      if (found < blocksPerWrite) return;
    }
  };
  return createRounds({
    clock,
    interval: minutes(1),
    round,
    onFailure: (error) => log.error('fleet.block-endings-failed', { error }),
  });
}
