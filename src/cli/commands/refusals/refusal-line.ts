import type { Refusal } from '../../../contracts/fleet/refusal.ts';
import type { CommandContext } from '../../context.ts';
import { coloursFor } from '../../output/colours.ts';

/** One refusal in two lines: who came from where, and why it was refused. */
export function refusalLine(refusal: Refusal, { environment }: Pick<CommandContext, 'environment'>): string {
  const { at, side, place, deviceId, transport, address, trackingId, sentence, error } = refusal;
  const colours = coloursFor(environment);
  const time = at.replace('T', ' ').slice(0, 19);
  const where = place === '' ? 'an id scope that is not there' : `${side} ${place}`;
  const from = address === '' ? transport : `${transport} from ${address}`;
  return `${colours.dim(time)} ${colours.red('✗')} ${colours.bold(deviceId)} at ${where}, ${from}\n    ${sentence} ${colours.dim(`${error}, ${trackingId}`)}`;
}
