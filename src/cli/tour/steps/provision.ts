import { renderRows } from '../../output/layout.ts';
import { textAt } from '../member.ts';
import { cast, type Fleet, hubNameOf, type Part, type Step } from '../stage.ts';
import { inSeconds } from '../words.ts';

export const provision: Step = {
  title: 'Three devices come in, each over another protocol',
  async run({ screen, ledger, assembleFleet }) {
    screen.say(
      'Each registers with its certificate, connects to the hub that it is told, reads its twin, reports, and sends a message every so many milliseconds as the twin says.',
    );
    const fleet = await assembleFleet();
    const arrivals = await Promise.all(cast.map((part) => arrive(fleet, part)));
    const heading = ['device', 'registers', 'status', 'hub', 'took', 'connects', 'every'];
    screen.output(
      renderRows(
        heading,
        arrivals.map(({ cells }) => cells),
      ),
    );
    const held = arrivals.every(({ there }) => there);
    ledger.record('doors', held, arrivals.map(({ evidence }) => evidence).join('; '));
  },
};

interface Arrival {
  readonly there: boolean;
  readonly cells: readonly string[];
  readonly evidence: string;
}

async function arrive(fleet: Fleet, { id, registers, connects }: Part): Promise<Arrival> {
  const sensor = fleet.sensor(id);
  const { status, assignedHub, milliseconds } = await sensor.register(registers);
  const cells = [id, registers, status, hubNameOf(assignedHub), inSeconds(milliseconds)];
  if (status !== 'assigned') return { there: false, cells, evidence: `${registers} ${status}` };
  const every = textAt(await sensor.connect(connects, assignedHub), 'everyMilliseconds');
  const there = sensor.isConnected() && every !== '';
  return { there, cells: [...cells, connects, `${every} ms`], evidence: `${registers}, then ${connects}` };
}
