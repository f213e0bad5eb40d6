import picocolors from 'picocolors';

import type { CliEnvironment } from '../environment.ts';

/** Only on a terminal that can, and not against the person's wish (no-color.org). */
export function coloursFor({ stdout, env }: Pick<CliEnvironment, 'stdout' | 'env'>): ReturnType<typeof picocolors.createColors> {
  return picocolors.createColors(stdout.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb');
}
