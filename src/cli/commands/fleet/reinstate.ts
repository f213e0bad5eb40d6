import type { Receipt } from '../../../contracts/fleet/receipt.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import { exitCodes, usageError } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { flag, text } from '../../grammar/option.ts';
import { createPage } from '../../output/page.ts';
import { deviceArgument, readDevice } from './device-argument.ts';
import { moment } from './moment.ts';
import { showReceipt } from './receipt-page.ts';

export const reinstate = defineLiveCommand({
  name: 'reinstate',
  summary: 'Let a deprovisioned device in again: undo exactly what its receipt says.',
  details: 'Lifts the block, and puts identity, twin and record back as they were. Or lets exactly one registration through, with --once.',
  examples: [
    { text: 'Undo a deprovisioning.', command: 'reinstate sensor-thl-002 --reason "found again"' },
    { text: 'Let one registration through within the next half hour.', command: 'reinstate sensor-thl-002 --once --until 30m' },
  ],
  options: {
    ...deviceArgument,
    reason: text(['--reason', '-r'], 'Why; kept with the receipt.'),
    once: flag(['--once'], 'Let exactly one registration through; the block stays for the next.'),
    until: moment(['--until'], 'With --once: until when.'),
    dryRun: flag(['--dry-run'], 'Go through everything, show it, and write nothing.'),
  },
  async run(values, context) {
    const device = await readDevice(values);
    if (device === undefined) throw usageError('Say which device, or which receipt, to undo.');
    if ((values.once === true) !== (values.until !== undefined))
      throw usageError('--once and --until go together. Give both, as in --once --until 30m.');
    const api = await openMusterApi(context);
    const body = {
      device,
      dryRun: values.dryRun === true,
      ...(values.reason === undefined ? {} : { reason: values.reason }),
      ...(values.until === undefined ? {} : { onceUntil: values.until }),
    };
    const answer = await api.send({ method: 'POST', path: '/reinstate', body });
    if (context.isForProgram) context.show(answer);
    else showReceipt(answer as unknown as Receipt, createPage(context.print, context.environment));
    return exitCodes.ok;
  },
});
