import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';

import type { PresenceRow } from '../../../src/hub/ports.ts';
import { milliseconds, seconds } from '../../../src/kernel/clock.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeSession, settle } from '../../fixtures/fake-session.ts';
import { createJoinedBuses, heard, type JoinedBus } from '../../fixtures/joined-buses.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';
import { describeSessionBus } from './bus-contract.ts';

const never = new AbortController().signal;
const call = { name: 'reboot', payload: null };

describe.each([1, 2, 3])('the bus of one of %i processes', (count) => {
  describeSessionBus((deps) => {
    const joined = createJoinedBuses(deps);
    const buses = Array.from({ length: count }, () => joined.open());
    return Promise.resolve({ bus: buses[count - 1]!.bus, close: () => Promise.resolve() });
  });
});

describe('buses of three processes', () => {
  let clock: FakeClock;
  let joined: ReturnType<typeof createJoinedBuses>;
  let one: JoinedBus;
  let two: JoinedBus;
  let three: JoinedBus;

  beforeEach(() => {
    clock = new FakeClock();
    joined = createJoinedBuses({ clock, log: new RecordingLog() });
    [one, two, three] = [joined.open(), joined.open(), joined.open()];
  });

  const take = ({ bus }: JoinedBus): readonly PresenceRow[] => bus.takePresence({ limit: 100, activeEvery: milliseconds(0) });

  test('all know who is connected, when that was, and how many there are', async () => {
    const leave = one.bus.join('hub', 'd1', new FakeSession());
    two.bus.join('hub', 'd2', new FakeSession());
    two.bus.join('hub', 'd2/m', new FakeSession());
    await heard();
    const at = clock.now();
    for (const { bus } of [one, two, three]) {
      expect([bus.isConnected('HUB', 'd1'), bus.connectedDevices('hub'), bus.connectedDevices('other')]).toEqual([true, 2, 0]);
      expect(bus.lastSeen('hub', 'd2')).toEqual({ connectionChangedAt: at, activeAt: at });
    }
    clock.advance(seconds(5));
    leave();
    await heard();
    for (const { bus } of [one, two, three]) {
      expect([bus.isConnected('hub', 'd1'), bus.connectedDevices('hub')]).toEqual([false, 1]);
      expect(bus.lastSeen('hub', 'd1').connectionChangedAt).toBe(clock.now());
    }
  });

  test('a device that comes back at another process keeps the later connection, which is never told as its end', async () => {
    const [older, newer] = [new FakeSession(), new FakeSession()];
    one.bus.join('hub', 'd1', older);
    await heard();
    two.bus.join('hub', 'd1', newer);
    await heard();
    expect([older.cuts, newer.cuts]).toEqual([['taken-over'], []]);
    expect(take(one)).toMatchObject([{ deviceId: 'd1', connected: true }]);
    expect(take(two)).toMatchObject([{ deviceId: 'd1', connected: true }]);
  });

  test('of connections that come at once at all of them, one and the same is left', async () => {
    const sessions = [one, two, three].map(({ bus }) => {
      const session = new FakeSession();
      bus.join('hub', 'd1', session);
      return session;
    });
    await heard();
    expect(sessions.map(({ cuts }) => cuts.length).toSorted((a, b) => a - b)).toEqual([0, 1, 1]);
    for (const { bus } of [one, two, three]) expect([bus.isConnected('hub', 'd1'), bus.connectedDevices('hub')]).toEqual([true, 1]);
  });

  test('a cut reaches every process, waits for all, and tells their sessions apart', async () => {
    const [device, module, slow] = [new FakeSession(), new FakeSession(), new FakeSession({ closesAtOnce: false })];
    one.bus.join('hub', 'd1', device);
    two.bus.join('hub', 'd1/m', module);
    three.bus.join('hub', 'd1/n', slow);
    await heard();
    let isDone = false;
    const cutting = two.bus.cut('hub', 'd1', 'device-deleted').finally(() => (isDone = true));
    await heard();
    expect([device.cuts, module.cuts, slow.cuts, isDone]).toEqual([['device-deleted'], ['device-deleted'], ['device-deleted'], false]);
    clock.advance(milliseconds(40));
    slow.close();
    const { sessions, closed, elapsedMilliseconds } = await cutting;
    expect([sessions, elapsedMilliseconds, new Set(closed.map(({ session }) => session)).size]).toEqual([3, 40, 3]);
    // Nothing is left of what was removed, and whoever is told that a cut is over finds nobody connected.
    for (const { bus } of [one, two, three]) expect(bus.isConnected('hub', 'd1')).toBe(false);
    await heard();
    for (const { bus } of [one, two, three]) expect(bus.lastSeen('hub', 'd1')).toEqual({});
  });

  test('a cut by keys reaches services and devices of all, and a process that fails says so', async () => {
    const [device, failing] = [new FakeSession(), new FakeSession({ closesAtOnce: false })];
    one.bus.join('hub', 'd1', device, ['leaf:A']);
    three.bus.attend(failing, ['leaf:A']);
    await heard();
    const cutting = two.bus.cutCovered(['leaf:A'], 'device-disabled');
    await heard();
    failing.fail(new Error('stuck'));
    await expect(cutting).rejects.toThrow('Sessions could not be closed at 1 processes.');
    expect(device.cuts).toEqual(['device-disabled']);
  });

  test('whoever dies takes its sessions along: cuts do not wait for it, and one of the others writes that they left', async () => {
    three.bus.join('hub', 'd1', new FakeSession({ closesAtOnce: false }));
    await heard();
    const cutting = one.bus.cut('hub', 'd1', 'device-disabled');
    await heard();
    clock.advance(seconds(1));
    three.kill();
    expect(await cutting).toMatchObject({ sessions: 0 });
    expect([one, two].map(({ bus }) => bus.isConnected('hub', 'd1'))).toEqual([false, false]);
    const rows = [...take(one), ...take(two)];
    expect(rows).toMatchObject([{ deviceId: 'd1', connected: false, connectionChangedAt: clock.now() }]);
  });

  test('calls a method of a device wherever it is, and stops waiting when told to, or when its process dies', async () => {
    const session = new FakeSession();
    const signals: AbortSignal[] = [];
    one.bus.join('hub', 'd1', session);
    await heard();
    expect(await two.bus.callMethod('hub', 'd1', call, never)).toBeUndefined();
    session.onCall = ({ name }) => Promise.resolve({ kind: 'answered', status: 200, payload: { did: name } });
    expect(await two.bus.callMethod('hub', 'd1', call, never)).toEqual({ kind: 'answered', status: 200, payload: { did: 'reboot' } });
    session.onCall = () => Promise.reject(new Error('broken'));
    await expect(two.bus.callMethod('hub', 'd1', call, never)).rejects.toThrow('broken');
    session.onCall = (_call, signal) => {
      signals.push(signal);
      return new Promise(() => {});
    };
    const controller = new AbortController();
    const abandoned = two.bus.callMethod('hub', 'd1', call, controller.signal);
    await heard();
    controller.abort();
    expect(await abandoned).toEqual({ kind: 'abandoned' });
    await heard();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    const lost = two.bus.callMethod('hub', 'd1', call, never);
    await heard();
    one.kill();
    expect(await lost).toEqual({ kind: 'connection-lost' });
    expect(await two.bus.callMethod('nowhere', 'd1', call, never)).toBeUndefined();
  });

  test('bells and patches are heard everywhere, a bell once for however often it is rung in a turn', async () => {
    const session = new FakeSession();
    one.bus.join('hub', 'd1', session);
    let rung = 0;
    three.bus.listen({ hub: 'hub', about: 'telemetry' }, () => (rung += 1));
    for (let time = 0; time < 5; time += 1) two.bus.ring({ hub: 'hub', about: 'telemetry' });
    two.bus.notifyDesired('hub', 'd1', { $version: 2 });
    await heard();
    expect([rung, session.notifications]).toEqual([1, [{ $version: 2 }]]);
    two.bus.ring({ hub: 'hub', about: 'telemetry' });
    await heard();
    expect(rung).toBe(2);
  });

  test('activity is told at once, and then once a second as long as there is any', async () => {
    one.bus.touch('hub', 'd1');
    await heard();
    const first = clock.now();
    expect(two.bus.lastSeen('hub', 'd1')).toEqual({ activeAt: first });
    clock.advance(milliseconds(300));
    one.bus.touch('hub', 'd1');
    await heard();
    expect(two.bus.lastSeen('hub', 'd1')).toEqual({ activeAt: first });
    clock.advance(milliseconds(700));
    await heard();
    expect(two.bus.lastSeen('hub', 'd1')).toEqual({ activeAt: first + 300 });
  });

  test('one that comes later learns what the others hold', async () => {
    const session = new FakeSession();
    one.bus.join('hub', 'd1', session);
    const late = joined.open();
    await heard();
    expect([late.bus.isConnected('hub', 'd1'), late.bus.lastSeen('hub', 'd1').connectionChangedAt]).toEqual([true, clock.now()]);
    late.bus.join('hub', 'd1', new FakeSession());
    await heard();
    expect(session.cuts).toEqual(['taken-over']);
    one.kill();
    expect(late.bus.isConnected('hub', 'd1')).toBe(true);
  });

  test.each([0, 1, 2, 3])('one that comes while a device comes back, %i turns after, does not take it for gone', async (turns) => {
    one.bus.join('hub', 'd1', new FakeSession());
    await heard();
    one.bus.join('hub', 'd1', new FakeSession());
    for (let turn = 0; turn < turns; turn += 1) await settle();
    const late = joined.open();
    await heard();
    for (const { bus } of [one, two, late]) expect(bus.isConnected('hub', 'd1')).toBe(true);
  });

  test('what left a process just before it died is written by another', async () => {
    const leave = three.bus.join('hub', 'd1', new FakeSession());
    await heard();
    take(three);
    clock.advance(seconds(5));
    leave();
    await heard();
    three.kill();
    await heard();
    expect([...take(one), ...take(two)]).toMatchObject([{ deviceId: 'd1', connected: false, connectionChangedAt: clock.now() }]);
  });

  test('a call does not wait for a process that died while another one was asked', async () => {
    one.bus.join('hub', 'd1', new FakeSession({ closesAtOnce: false }));
    await heard();
    two.bus.join('hub', 'd1', new FakeSession());
    await heard();
    const calling = three.bus.callMethod('hub', 'd1', call, never);
    for (let turn = 0; turn < 3; turn += 1) await Promise.resolve();
    two.kill();
    expect(await calling).toBeUndefined();
  });

  test('whatever happens where: in the end a device has one session, all agree, and what was cut last is out', async () => {
    const step = fc.record({
      at: fc.integer({ min: 0, max: 2 }),
      what: fc.constantFrom('join', 'leave', 'cut', 'settle', 'kill'),
      device: fc.constantFrom('d1', 'd2'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (script) => {
        const buses = createJoinedBuses({ clock: new FakeClock(), log: new RecordingLog() });
        const members = Array.from({ length: 3 }, () => ({
          ...buses.open(),
          live: new Map<FakeSession, { device: string; leave: () => void }>(),
        }));
        const cuts: Promise<unknown>[] = [];
        for (const { at, what, device } of script) {
          const member = members[at]!;
          if (what === 'join') {
            const session = new FakeSession();
            member.live.set(session, { device, leave: member.bus.join('hub', device, session) });
          } else if (what === 'leave') for (const { leave } of [...member.live.values()].slice(0, 1)) leave();
          else if (what === 'cut') cuts.push(member.bus.cut('hub', device, 'device-disabled'));
          else if (what === 'settle') await heard();
          else if (members.length > 1 && at > 0) {
            member.kill();
            members[at] = { ...buses.open(), live: new Map() };
          }
        }
        await heard();
        await heard();
        const standing = members.map(({ bus }) => ['d1', 'd2'].map((device) => bus.isConnected('hub', device)));
        expect(standing).toEqual([standing[0], standing[0], standing[0]]);
        for (const { bus } of members) expect(bus.connectedDevices('hub')).toBe(standing[0]!.filter(Boolean).length);
        for (const device of ['d1', 'd2'])
          expect(await members[0]!.bus.cut('hub', device, 'device-disabled')).toMatchObject({
            sessions: standing[0]![device === 'd1' ? 0 : 1] ? 1 : 0,
          });
      }),
      { numRuns: 60 },
    );
  });
});
