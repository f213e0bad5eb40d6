import { performance } from 'node:perf_hooks';

import { renderRows } from '../../output/layout.ts';
import type { Sensor } from '../sensor.ts';
import { type Fleet, type Step, targetId } from '../stage.ts';
import { longestPause } from '../telemetry.ts';
import { inMilliseconds } from '../words.ts';

export const countMessages: Step = {
  title: 'All the while: who missed a message?',
  async run({ screen, ledger, fleet }) {
    const { sensors, events } = fleet();
    const until = performance.now();
    await Promise.all(sensors.map((sensor) => sensor.stopSending()));
    screen.say('Messages are numbered. A hub acknowledges what it has stored, and its event stream tells what that was.');
    await Promise.all(sensors.map((sensor) => events.caughtUp(sensor.id, acknowledgedBy(sensor))));
    const counts = sensors.map((sensor) => countOf(sensor, events, until));
    screen.output(renderCounts(counts));
    screen.say('Lost: acknowledged but not stored. Cuts: connections that the service ended.');
    const others = counts.filter(({ id }) => id !== targetId);
    const held = counts.every(({ lost, twice }) => lost === 0 && twice === 0) && others.every(wentOn);
    const words = others.map(({ id, sent, stored, pause }) => `${id}: ${stored} of ${sent}, longest pause ${inMilliseconds(pause)}`);
    ledger.record('undisturbed', held, words.join('; '));
  },
};

interface Count {
  readonly id: string;
  readonly sent: number;
  readonly acknowledged: number;
  readonly stored: number;
  /** Acknowledged, and not stored. */
  readonly lost: number;
  readonly twice: number;
  readonly cuts: number;
  readonly pause: number;
}

function countOf(sensor: Sensor, events: Fleet['events'], until: number): Count {
  const stored = events.stored(sensor.id);
  const acknowledged = acknowledgedBy(sensor);
  return {
    id: sensor.id,
    sent: sensor.tally.sent,
    acknowledged: acknowledged.length,
    stored: stored.size,
    lost: acknowledged.filter((number) => !stored.has(number)).length,
    twice: [...stored.values()].filter((times) => times > 1).length,
    cuts: sensor.drops.length,
    pause: longestPause(sensor.tally, until),
  };
}

/** Everything that was sent was acknowledged and stored, over one connection that never broke. */
function wentOn({ sent, acknowledged, stored, cuts }: Count): boolean {
  return sent > 0 && acknowledged === sent && stored === sent && cuts === 0;
}

function acknowledgedBy(sensor: Sensor): readonly number[] {
  return sensor.tally.acknowledged.map(({ number }) => number);
}

function renderCounts(counts: readonly Count[]): string {
  const rows = counts.map(({ id, sent, acknowledged, stored, lost, twice, cuts, pause }) => [
    id,
    ...[sent, acknowledged, stored, lost, twice, cuts].map(String),
    // Its silence while it was shut out is no pause.
    cuts === 0 ? inMilliseconds(pause) : '-',
  ]);
  return renderRows(['device', 'sent', 'acked', 'stored', 'lost', 'twice', 'cuts', 'longest pause'], rows);
}
