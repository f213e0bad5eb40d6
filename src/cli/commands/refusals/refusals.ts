import { type Refusal, refusalSides } from '../../../contracts/fleet/refusal.ts';
import { transportNames } from '../../../contracts/transport.ts';
import type { Json } from '../../../kernel/json.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import { exitCodes, usageError } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { choice, flag, integer, text } from '../../grammar/option.ts';
import { pastMoment } from '../fleet/moment.ts';
import { followRefusals } from './follow.ts';
import { refusalLine } from './refusal-line.ts';

const usualRefusals = 100;

export const refusals = defineLiveCommand({
  name: 'refusals',
  summary: 'Show devices that were not let in, and why: the newest first, or as it happens.',
  details:
    'Both by provisioning services and by hubs, over every transport. muster explain <tracking id> tells all the reasons of one of them.',
  examples: [
    { text: 'Watch refusals as they happen.', command: 'refusals --follow' },
    { text: 'Why a device was refused today.', command: 'refusals sensor-thl-002 --since 24h' },
    { text: 'All over AMQP, for a program, one line each.', command: 'refusals --follow --transport amqp -o json' },
    { text: 'The devices that the hubs refused, as a table.', command: 'refusals --side hub -o table' },
  ],
  options: {
    device: text(['--device', '-d'], 'Registration ID or device ID that was claimed.', { positional: true }),
    transport: choice(['--transport'], transportNames, 'Transport that the device came over.'),
    side: choice(['--side'], refusalSides, 'Who refused it.'),
    since: pastMoment(['--since'], 'Refusals from then on; not with --follow.'),
    top: integer(['--top'], 'At most so many; not with --follow.', { defaultText: String(usualRefusals) }),
    follow: flag(['--follow', '-f'], 'Go on, and show refusals as they happen.'),
    after: integer(['--after'], 'With --follow: begin behind the refusal of this number, to miss none after a break.'),
  },
  async run({ device, transport, side, since, top, follow, after }, context) {
    const filter = { ...(device && { device }), ...(transport && { transport }), ...(side && { side }) };
    if (follow === true) {
      if (since !== undefined || top !== undefined) throw usageError('argument --follow: takes neither --since nor --top; use --after.');
      return await followRefusals(filter, after, context);
    }
    if (after !== undefined) throw usageError('argument --after: goes with --follow.');
    const wanted = top ?? usualRefusals;
    if (wanted < 1) throw usageError('argument --top: must be 1 or more.');
    const api = await openMusterApi(context);
    const found: Json[] = [];
    let next: string | undefined;
    do {
      const query = new URLSearchParams({
        ...filter,
        ...(since && { since }),
        top: String(Math.min(wanted - found.length, 1000)),
        ...(next && { after: next }),
      });
      const page = await api.send({ method: 'GET', path: `/refusals?${query.toString()}` });
      const { items, next: more } = page as { readonly items: readonly Json[]; readonly next?: string };
      found.push(...items);
      next = more;
    } while (next !== undefined && found.length < wanted);
    if (context.isForProgram) return { value: found };
    for (const refusal of found) context.print(refusalLine(refusal as unknown as Refusal, context));
    if (found.length === 0) context.notice('Nobody was refused.');
    return exitCodes.ok;
  },
});
