import { describe, expect, test } from 'vitest';
import { createLocalBus } from '../../../src/bus/local.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeSession } from '../../fixtures/fake-session.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';
import { describeSessionBus } from './bus-contract.ts';

describe('local bus', () => {
  describeSessionBus((deps) => Promise.resolve({ bus: createLocalBus(deps), close: () => Promise.resolve() }));

  test('holds 50 000 sessions and cuts just the one that is meant', async () => {
    const bus = createLocalBus({ clock: new FakeClock(), log: new RecordingLog() });
    const sessions = Array.from({ length: 50_000 }, () => new FakeSession());
    for (const [index, session] of sessions.entries()) bus.join('hub', `d${index}`, session);
    expect(await bus.cut('hub', 'd25000', 'device-deleted')).toMatchObject({ sessions: 1 });
    expect(sessions.flatMap(({ cuts }) => cuts)).toEqual(['device-deleted']);
  });
});
