import { performance } from 'node:perf_hooks';

import { failure } from '../../exit-code.ts';
import { textAt } from '../member.ts';
import { watchRequest } from '../request-watch.ts';
import { hubNameOf, type Stage, targetId } from '../stage.ts';
import { inMilliseconds } from '../words.ts';

/** What still counts as "at once", in milliseconds, on a machine that has other things to do as well. */
const atOnceMilliseconds = 1_000;

/** Deletes the identity by command, and measures when the device sees the end of its connection. */
export async function deleteIdentity({ screen, shell, ledger, fleet }: Stage): Promise<void> {
  const sensor = fleet().sensor(targetId);
  const { transport, hubHostName } = sensor.post();
  const { sent, ended } = await timed('DELETE', () =>
    shell.run(`iot hub device-identity delete --hub-name ${hubNameOf(hubHostName)} --device-id ${targetId}`),
  );
  const drop = await sensor.dropped(atOnceMilliseconds);
  if (drop === undefined) {
    ledger.record('cut', false, `${transport} still connected after ${inMilliseconds(performance.now() - sent)}`);
    return;
  }
  const took = drop.at - sent;
  const relation = drop.at < ended ? 'before' : 'after';
  screen.fact('the device', `${drop.reason} (${transport})`);
  screen.fact(
    'dropped',
    `${inMilliseconds(took)} after the request was sent, ${inMilliseconds(Math.abs(ended - drop.at))} ${relation} the command ended`,
  );
  ledger.record('cut', took < atOnceMilliseconds, `${transport} ${inMilliseconds(took)} after the request was sent`);
}

/** When the command's request left, and when the command was through. */
async function timed(method: string, command: () => Promise<unknown>): Promise<{ readonly sent: number; readonly ended: number }> {
  const watch = watchRequest(method);
  try {
    await command();
    const sent = watch.sentAt();
    if (sent === undefined) throw failure('The command sent no request, so there is nothing to measure from.');
    return { sent, ended: performance.now() };
  } finally {
    watch.release();
  }
}

/** What tells one identity of a device from the next. */
export async function generationOf(shell: Stage['shell'], hubHostName: string): Promise<string> {
  const identity = await shell.look(`iot hub device-identity show --hub-name ${hubNameOf(hubHostName)} --device-id ${targetId}`);
  return textAt(identity, 'generationId');
}
