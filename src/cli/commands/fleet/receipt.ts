import type { Receipt } from '../../../contracts/fleet/receipt.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import { exitCodes } from '../../exit-code.ts';
import { defineCommand, defineLiveCommand } from '../../grammar/command.ts';
import { required, text } from '../../grammar/option.ts';
import { createPage } from '../../output/page.ts';
import { showReceipt } from './receipt-page.ts';

export const receiptShow = defineLiveCommand({
  name: 'receipt show',
  summary: 'Show a receipt: what was found and done, how long it took, and the proof.',
  examples: [{ text: 'Show a receipt.', command: 'receipt show receipt-0mi3x9k2a-1f2e3d4c' }],
  options: { receipt: required(text(['--receipt', '--id'], 'Id of the receipt.', { positional: true })) },
  async run({ receipt }, context) {
    const api = await openMusterApi(context);
    const answer = await api.send({ method: 'GET', path: `/receipts/${encodeURIComponent(receipt)}` });
    if (context.isForProgram) context.show(answer);
    else showReceipt(answer as unknown as Receipt, createPage(context.print, context.environment));
    return exitCodes.ok;
  },
});

export const receiptList = defineCommand({
  name: 'receipt list',
  summary: 'List receipts, the newest first.',
  examples: [{ text: 'List what was done to a device.', command: 'receipt list sensor-thl-002 -o table' }],
  options: { device: text(['--device', '-d'], 'Only those of this device.', { positional: true }) },
  async run({ device }, context) {
    const api = await openMusterApi(context);
    return await api.send({ method: 'GET', path: `/receipts${device === undefined ? '' : `?device=${encodeURIComponent(device)}`}` });
  },
});
