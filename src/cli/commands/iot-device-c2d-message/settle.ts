import { type Settlement, settlementRequest } from '../../device/settlement.ts';
import type { Command } from '../../grammar/command.ts';
import { defineCommand } from '../../grammar/command.ts';
import { required, text } from '../../grammar/option.ts';
import { deviceIdOption, hubTarget, openHub } from '../hub-options.ts';

const summaries: Readonly<Record<Settlement, string>> = {
  complete: 'Complete a cloud-to-device message: it leaves the queue.',
  abandon: 'Abandon a cloud-to-device message: it waits again.',
  reject: 'Reject a cloud-to-device message: it leaves the queue unwanted.',
};

function settleCommand(settlement: Settlement): Command {
  return defineCommand({
    name: `iot device c2d-message ${settlement}`,
    summary: summaries[settlement],
    examples: [
      {
        text: 'By the etag that receive printed.',
        command: `iot device c2d-message ${settlement} -d sensor-thl-002 -n hub-local --etag 5cf0c1a4-5a0b-4c0e-8d4c-1d4c5f6a7b8c`,
      },
    ],
    options: { deviceId: deviceIdOption, etag: required(text(['--etag', '-e'], 'Lock token of the message.')), ...hubTarget },
    async run(values, context) {
      const etag = values.etag.replaceAll('"', '');
      const service = await openHub(values, context);
      await service.send(settlementRequest({ deviceId: values.deviceId, etag, settlement }));
      return undefined;
    },
  });
}

export const messageComplete = settleCommand('complete');
export const messageAbandon = settleCommand('abandon');
export const messageReject = settleCommand('reject');
