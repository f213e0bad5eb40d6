import { performance } from 'node:perf_hooks';

import { messageOf } from '../client/system-error.ts';
import { inTime } from '../device/waiting.ts';
import type { CliEnvironment, TextOutput } from '../environment.ts';
import { exitCodes } from '../exit-code.ts';
import type { Ledger } from './ledger.ts';
import { type OpenStage, openStage } from './open-stage.ts';
import { createScreen, type Screen } from './screen.ts';
import { steps } from './steps.ts';
import { createStopSignal, unlessStopped } from './stop-signal.ts';
import { enterThrowAway } from './throw-away.ts';
import { inSeconds } from './words.ts';

/** The longest that a tour may take; it takes a fraction of it. */
const limitSeconds = 90;

/**
 * Shows the exercise on a service of its own, from the first certificate to the device that is back; everything on the
 * screen is measured or returned. Resolves with the exit code: 0 when every promise held, 1 when one did not or could not
 * be shown. Leaves nothing behind, also when it is interrupted.
 */
export async function runTour({ stdout, env }: Pick<CliEnvironment, 'stdout' | 'env'>): Promise<number> {
  const began = performance.now();
  const screen = createScreen({ stdout, env });
  const stop = createStopSignal(limitSeconds);
  const folder = enterThrowAway();
  const onStage = createScreen({ stdout: untilStopped(stdout, stop.signal), env });
  const stage = openStage({ folder: folder.path, screen: onStage, env, signal: stop.signal });
  try {
    screen.heading('Muster, the tour: let a device in, shut it out, let it back in');
    await reporting(screen, 'The tour ends here.', () => play(stage, stop.signal));
  } finally {
    await reporting(screen, 'Something stayed behind.', () => inTime(stage.close(), 'The end of the service'));
    folder.remove();
    stop.release();
  }
  return conclude(screen, stage.ledger, performance.now() - began);
}

async function play(stage: OpenStage, signal: AbortSignal): Promise<void> {
  for (const step of steps) {
    stage.screen.chapter(step.title);
    await unlessStopped(step.run(stage), signal);
  }
}

/** Says what went wrong, so that what was found until then is still shown; the table has the rest as not shown. */
async function reporting(screen: Screen, opening: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    screen.trouble(`${opening} ${messageOf(error)}`);
  }
}

function conclude(screen: Screen, ledger: Ledger, milliseconds: number): number {
  const verdicts = ledger.verdicts();
  const failed = verdicts.filter(({ held }) => !held).length;
  screen.table(verdicts);
  const count = failed === 0 ? `All ${verdicts.length} held.` : `${failed} of ${verdicts.length} did not hold, or could not be shown.`;
  screen.close(`${count} ${inSeconds(milliseconds)} in total.`, failed === 0);
  return failed === 0 ? exitCodes.ok : exitCodes.failure;
}

/** A step that is left behind has nothing more to say. */
function untilStopped(stdout: TextOutput, signal: AbortSignal): TextOutput {
  return { write: (text) => signal.aborted || stdout.write(text), isTTY: stdout.isTTY === true };
}
