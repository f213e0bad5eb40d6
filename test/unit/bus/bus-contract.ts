import { beforeEach, describe, expect, test } from 'vitest';
import type { CutReason, LiveSession, SessionBus } from '../../../src/hub/ports.ts';
import { milliseconds, minutes } from '../../../src/kernel/clock.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeSession, settle } from '../../fixtures/fake-session.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';

interface Opened {
  readonly bus: SessionBus;
  close(): Promise<void>;
}

/** What every bus must do, however it reaches the sessions. */
export function describeSessionBus(open: (deps: { clock: FakeClock; log: RecordingLog }) => Promise<Opened>): void {
  let clock: FakeClock;
  let log: RecordingLog;
  let bus: SessionBus;

  beforeEach(async () => {
    clock = new FakeClock();
    log = new RecordingLog();
    const opened = await open({ clock, log });
    bus = opened.bus;
    return () => opened.close();
  });

  const cut = (reason: CutReason = 'device-deleted') => bus.cut('hub', 'd1', reason);

  describe('cutCovered', () => {
    test('reaches every session that joined with one of the keys, of whatever device, and no other', async () => {
      const [one, two, neighbour] = [new FakeSession(), new FakeSession(), new FakeSession()];
      bus.join('hub', 'd1', one, ['leaf:A', 'deviceId:d1']);
      bus.join('other', 'd2', two, ['leaf:A', 'deviceId:d2']);
      bus.join('hub', 'd3', neighbour, ['leaf:B', 'deviceId:d3']);
      expect(await bus.cutCovered(['leaf:A', 'subject:C'], 'device-disabled')).toMatchObject({ sessions: 2 });
      expect([one.cuts, two.cuts, neighbour.cuts]).toEqual([['device-disabled'], ['device-disabled'], []]);
      expect(bus.isConnected('hub', 'd3')).toBe(true);
    });

    test('a session that two cuts meet is closed once, and known by its id in both', async () => {
      const session = new FakeSession({ closesAtOnce: false });
      bus.join('hub', 'd1', session, ['leaf:A']);
      const [byDevice, byKey] = [cut(), bus.cutCovered(['leaf:A'], 'device-disabled')];
      await settle();
      session.close();
      const [first, second] = await Promise.all([byDevice, byKey]);
      expect(session.cuts).toEqual(['device-deleted']);
      expect(first.closed.map((closed) => closed.session)).toEqual(second.closed.map((closed) => closed.session));
    });

    test('joining again replaces the keys', async () => {
      const session = new FakeSession();
      bus.join('hub', 'd1', session, ['leaf:A']);
      bus.join('hub', 'd1', session, ['leaf:B']);
      expect(await bus.cutCovered(['leaf:A'], 'device-disabled')).toMatchObject({ sessions: 0 });
      expect(await bus.cutCovered(['leaf:B'], 'device-disabled')).toMatchObject({ sessions: 1 });
    });
  });

  describe('modules', () => {
    test.each(['device-deleted', 'device-disabled'] as const)('%s of a device ends its modules too, and no others', async (reason) => {
      const [own, module, other] = [new FakeSession(), new FakeSession(), new FakeSession()];
      bus.join('hub', 'd1', own);
      bus.join('hub', 'd1/m', module);
      bus.join('hub', 'd11/m', other);
      expect(await cut(reason)).toMatchObject({ sessions: 2 });
      expect([own.cuts, module.cuts, other.cuts]).toEqual([[reason], [reason], []]);
    });

    test('other cuts of a device leave its modules, and cuts of a module its device', async () => {
      const [own, module] = [new FakeSession(), new FakeSession()];
      bus.join('hub', 'd1', own);
      bus.join('HUB', 'd1/m', module);
      await cut('credential-changed');
      expect([own.cuts, module.cuts]).toEqual([['credential-changed'], []]);
      bus.join('hub', 'd1', own);
      await bus.cut('hub', 'd1/m', 'device-deleted');
      expect(module.cuts).toEqual(['device-deleted']);
      expect(bus.isConnected('hub', 'd1')).toBe(true);
    });

    test('devices with a session are counted, modules are not', () => {
      expect(bus.connectedDevices('hub')).toBe(0);
      bus.join('hub', 'd1', new FakeSession());
      bus.join('hub', 'd2/m', new FakeSession());
      const leave = bus.join('Hub', 'd3', new FakeSession());
      expect(bus.connectedDevices('hub')).toBe(2);
      leave();
      expect(bus.connectedDevices('hub')).toBe(1);
    });
  });

  describe('what services have open', () => {
    test('is cut by its keys, makes no device present, and is cut no more once it has left', async () => {
      const [one, two] = [new FakeSession(), new FakeSession()];
      bus.attend(one, ['credential:A']);
      const leave = bus.attend(two, ['credential:A']);
      leave();
      expect(bus.isConnected('hub', 'd1')).toBe(false);
      expect(await bus.cutCovered(['credential:A'], 'credential-changed')).toMatchObject({ sessions: 1 });
      expect([one.cuts, two.cuts]).toEqual([['credential-changed'], []]);
      expect(await bus.cutCovered(['credential:A'], 'credential-changed')).toMatchObject({ sessions: 0 });
    });

    test('attending again replaces the keys, and the first leaving sends nobody away', async () => {
      const session = new FakeSession();
      const leave = bus.attend(session, ['credential:A']);
      bus.attend(session, ['credential:B']);
      leave();
      expect(await bus.cutCovered(['credential:A'], 'credential-changed')).toMatchObject({ sessions: 0 });
      expect(await bus.cutCovered(['credential:B'], 'credential-changed')).toMatchObject({ sessions: 1 });
    });
  });

  describe('cut', () => {
    test('leaves the sessions that joined with a key that is excepted', async () => {
      const session = new FakeSession();
      bus.join('hub', 'd1', session, ['credential:A']);
      const except = ['credential:A', 'credential:C'];
      expect(await bus.cut('hub', 'd1', { reason: 'credential-changed', except })).toMatchObject({ sessions: 0 });
      expect(await bus.cut('hub', 'd1', { reason: 'credential-changed', except: ['credential:B'] })).toMatchObject({ sessions: 1 });
      expect(session.cuts).toEqual(['credential-changed']);
    });

    test('a device without sessions has none to wait for', async () => {
      expect(await cut()).toEqual({ sessions: 0, elapsedMilliseconds: 0, closed: [] });
    });

    test('reaches the session with the reason, and the device is gone after', async () => {
      const session = new FakeSession();
      bus.join('hub', 'd1', session);
      expect(await cut('device-disabled')).toEqual({
        sessions: 1,
        elapsedMilliseconds: 0,
        closed: [{ session: expect.any(String), transport: 'mqtt', elapsedMilliseconds: 0 }],
      });
      expect(session.cuts).toEqual(['device-disabled']);
      expect(bus.isConnected('hub', 'd1')).toBe(false);
    });

    test('resolves when the session has closed, with the time it took', async () => {
      const session = new FakeSession({ closesAtOnce: false });
      bus.join('hub', 'd1', session);
      let ended = false;
      const cutting = cut().finally(() => (ended = true));
      await settle();
      clock.advance(40);
      await settle();
      expect(ended).toBe(false);
      expect(bus.isConnected('hub', 'd1')).toBe(true);
      session.close();
      expect(await cutting).toMatchObject({ sessions: 1, elapsedMilliseconds: 40, closed: [{ elapsedMilliseconds: 40 }] });
    });

    test('waits for the older session, too, that was taken over and has not closed yet', async () => {
      const older = new FakeSession({ closesAtOnce: false });
      const newer = new FakeSession();
      bus.join('hub', 'd1', older);
      bus.join('hub', 'd1', newer);
      let ended = false;
      const cutting = cut().finally(() => (ended = true));
      await settle();
      expect(ended).toBe(false);
      older.close();
      expect(await cutting).toMatchObject({ sessions: 2 });
      expect(older.cuts).toEqual(['taken-over']);
    });

    test('two at once end the session once and wait both', async () => {
      const session = new FakeSession({ closesAtOnce: false });
      bus.join('hub', 'd1', session);
      const both = Promise.all([cut('device-disabled'), cut('device-deleted')]);
      await settle();
      session.close();
      expect(await both).toMatchObject([{ sessions: 1 }, { sessions: 1 }]);
      expect(session.cuts).toEqual(['device-disabled']);
    });

    test('leaves the neighbours alone: another device, another hub, another case of the id', async () => {
      const neighbours: readonly (readonly [string, string])[] = [
        ['hub', 'd2'],
        ['other', 'd1'],
        ['hub', 'D1'],
      ];
      const sessions = neighbours.map(([hub, deviceId]) => {
        const session = new FakeSession();
        bus.join(hub, deviceId, session);
        return session;
      });
      await cut();
      expect(sessions.map((session) => session.cuts)).toEqual([[], [], []]);
    });

    test('finds a hub in any case of its name', async () => {
      const session = new FakeSession();
      bus.join('Hub', 'd1', session);
      expect(await bus.cut('hUB', 'd1', 'device-deleted')).toMatchObject({ sessions: 1 });
    });

    test('a session that does not close is reported, stays known, and can be cut again', async () => {
      const session = new FakeSession({ closesAtOnce: false });
      bus.join('hub', 'd1', session);
      const failing = expect(cut()).rejects.toThrow('could not be closed');
      await settle();
      session.fail(new Error('socket is stuck'));
      await failing;
      expect(bus.isConnected('hub', 'd1')).toBe(true);
      const again = cut();
      await settle();
      session.close();
      expect(await again).toMatchObject({ sessions: 1 });
      expect(bus.isConnected('hub', 'd1')).toBe(false);
    });

    test('a session that throws at once does not keep the others open', async () => {
      const broken: LiveSession = {
        peer: { transport: 'amqp', remoteAddress: '192.0.2.2' },
        cut: () => {
          throw new Error('broken');
        },
        notifyDesired: () => {},
        callMethod: () => undefined,
      };
      const sound = new FakeSession();
      bus.join('hub', 'd1', broken);
      bus.join('hub', 'd1', sound);
      await settle();
      await expect(cut()).rejects.toThrow('could not be closed');
      expect(sound.cuts).toEqual(['device-deleted']);
    });
  });

  describe('join', () => {
    test('a second session takes the first over', async () => {
      const older = new FakeSession();
      const newer = new FakeSession();
      bus.join('hub', 'd1', older);
      bus.join('hub', 'd1', newer);
      await settle();
      expect(older.cuts).toEqual(['taken-over']);
      expect(newer.cuts).toEqual([]);
      expect(bus.isConnected('hub', 'd1')).toBe(true);
    });

    test('the older one leaving does not disconnect the newer one', async () => {
      const leaveOlder = bus.join('hub', 'd1', new FakeSession());
      bus.join('hub', 'd1', new FakeSession());
      await settle();
      leaveOlder();
      leaveOlder();
      expect(bus.isConnected('hub', 'd1')).toBe(true);
    });

    test('the same session twice does not take itself over', async () => {
      const session = new FakeSession();
      bus.join('hub', 'd1', session);
      const leave = bus.join('hub', 'd1', session);
      await settle();
      expect(session.cuts).toEqual([]);
      leave();
      expect(bus.isConnected('hub', 'd1')).toBe(false);
    });

    test('an older session that cannot be closed is logged', async () => {
      const older = new FakeSession({ closesAtOnce: false });
      bus.join('hub', 'd1', older);
      bus.join('hub', 'd1', new FakeSession());
      await settle();
      older.fail(new Error('stuck'));
      await settle();
      expect(log.named('session.cut.failed')).toMatchObject([{ hub: 'hub', deviceId: 'd1', reason: 'taken-over' }]);
    });
  });

  describe('last seen', () => {
    test('nothing is known of a device that never came', () => {
      expect(bus.lastSeen('hub', 'd1')).toEqual({});
      expect(bus.isConnected('hub', 'd1')).toBe(false);
    });

    test('connecting, activity and leaving each have their time', async () => {
      const connectedAt = clock.now();
      const leave = bus.join('hub', 'd1', new FakeSession());
      clock.advance(1000);
      const activeAt = clock.now();
      bus.touch('hub', 'd1');
      expect(bus.lastSeen('hub', 'd1')).toEqual({ connectionChangedAt: connectedAt, activeAt });
      clock.advance(1000);
      leave();
      expect(bus.lastSeen('hub', 'd1')).toEqual({ connectionChangedAt: clock.now(), activeAt });
    });

    test('activity alone is no connection', () => {
      bus.touch('hub', 'd1');
      expect(bus.lastSeen('hub', 'd1')).toEqual({ activeAt: clock.now() });
      expect(bus.isConnected('hub', 'd1')).toBe(false);
    });
  });

  describe('takePresence', () => {
    const take = (options: Partial<Parameters<SessionBus['takePresence']>[0]> = {}) =>
      bus.takePresence({ limit: 10, activeEvery: minutes(1), ...options });

    test('tells once of whoever came or went, of modules by their path', () => {
      const at = clock.now();
      const leave = bus.join('hub', 'd1', new FakeSession());
      bus.join('hub', 'd1/m1', new FakeSession());
      expect(take()).toEqual([
        { hub: 'hub', deviceId: 'd1', connected: true, connectionChangedAt: at, activeAt: at },
        { hub: 'hub', deviceId: 'd1/m1', connected: true, connectionChangedAt: at, activeAt: at },
      ]);
      expect(take()).toEqual([]);
      clock.advance(10);
      leave();
      expect(take()).toEqual([{ hub: 'hub', deviceId: 'd1', connected: false, connectionChangedAt: clock.now(), activeAt: at }]);
    });

    test('however often somebody came and went, it tells how it is now', () => {
      for (let turn = 0; turn < 5; turn += 1) bus.join('hub', 'd1', new FakeSession())();
      expect(take()).toMatchObject([{ deviceId: 'd1', connected: false }]);
    });

    test('of activity alone it tells at once, and then as often as asked', () => {
      bus.touch('hub', 'd1');
      expect(take()).toMatchObject([{ deviceId: 'd1', connected: false, activeAt: clock.now() }]);
      clock.advance(59_000);
      bus.touch('hub', 'd1');
      const activeAt = clock.now();
      expect(take()).toEqual([]);
      clock.advance(1000);
      expect(take()).toEqual([{ hub: 'hub', deviceId: 'd1', connected: false, activeAt }]);
      bus.touch('hub', 'd1');
      expect(take({ activeEvery: milliseconds(0) })).toHaveLength(1);
    });

    test('tells of no more than asked for, and of the others next, however busy the first are', () => {
      const activeEvery = milliseconds(0);
      for (const id of ['a', 'b', 'c']) bus.touch('hub', id);
      expect(take({ limit: 2, activeEvery }).map(({ deviceId }) => deviceId)).toEqual(['a', 'b']);
      for (const id of ['a', 'b']) bus.touch('hub', id);
      expect(take({ limit: 2, activeEvery }).map(({ deviceId }) => deviceId)).toEqual(['c', 'a']);
      expect(take({ limit: 0, activeEvery })).toEqual([]);
    });

    test('tells nothing of a removed identity, not even when a session of it ends late', async () => {
      const leave = bus.join('hub', 'd1', new FakeSession());
      bus.touch('hub', 'd1');
      await cut();
      leave();
      expect(take()).toEqual([]);
    });
  });

  describe('desired properties', () => {
    test('reach the session of the device and no other', () => {
      const session = new FakeSession();
      const neighbour = new FakeSession();
      bus.join('hub', 'd1', session);
      bus.join('hub', 'd2', neighbour);
      bus.notifyDesired('hub', 'd1', { mode: 'eco', $version: 3 });
      expect(session.notifications).toEqual([{ mode: 'eco', $version: 3 }]);
      expect(neighbour.notifications).toEqual([]);
    });

    test('do not reach a session that is being cut', async () => {
      const session = new FakeSession({ closesAtOnce: false });
      bus.join('hub', 'd1', session);
      const cutting = cut();
      await settle();
      bus.notifyDesired('hub', 'd1', { $version: 2 });
      session.close();
      await cutting;
      expect(session.notifications).toEqual([]);
    });
  });

  describe('bells', () => {
    test('reach those who listen to the same one, until they stop; a hub is found in any case of its name', () => {
      const heard: string[] = [];
      const stop = bus.listen({ hub: 'hub', about: 'telemetry' }, () => heard.push('first'));
      bus.listen({ hub: 'HUB', about: 'telemetry' }, () => heard.push('second'));
      bus.listen({ hub: 'other', about: 'telemetry' }, () => heard.push('other'));
      bus.ring({ hub: 'hub', about: 'telemetry' });
      stop();
      bus.ring({ hub: 'hub', about: 'telemetry' });
      expect(heard).toEqual(['first', 'second', 'second']);
    });

    test('keep queues and devices apart, also those that differ in case only', () => {
      const heard: string[] = [];
      bus.listen({ hub: 'hub', about: 'queue', queue: 'devicebound/d1' }, () => heard.push('queue d1'));
      bus.listen({ hub: 'hub', about: 'queue', queue: 'devicebound/D1' }, () => heard.push('queue D1'));
      bus.listen({ hub: 'hub', about: 'methods', deviceId: 'd1' }, () => heard.push('methods d1'));
      bus.ring({ hub: 'HUB', about: 'queue', queue: 'devicebound/d1' });
      bus.ring({ hub: 'hub', about: 'methods', deviceId: 'd1' });
      bus.ring({ hub: 'hub', about: 'methods', deviceId: 'D1' });
      expect(heard).toEqual(['queue d1', 'methods d1']);
    });

    test('one listener that throws neither stops the others nor the writer', () => {
      let heard = 0;
      bus.listen({ hub: 'hub', about: 'telemetry' }, () => {
        throw new Error('broken monitor');
      });
      bus.listen({ hub: 'hub', about: 'telemetry' }, () => (heard += 1));
      bus.ring({ hub: 'hub', about: 'telemetry' });
      expect(heard).toBe(1);
      expect(log.named('bus.listener.failed')).toHaveLength(1);
    });
  });

  describe('methods', () => {
    const call = { name: 'reboot', payload: { delay: 3 } };
    const never = new AbortController().signal;

    test('reach the session that takes calls, and its answer comes back', async () => {
      const session = new FakeSession();
      session.onCall = (given) => Promise.resolve({ kind: 'answered', status: 200, payload: { got: given.payload } });
      bus.join('hub', 'd1', session);
      expect(await bus.callMethod('HUB', 'd1', call, never)).toEqual({ kind: 'answered', status: 200, payload: { got: { delay: 3 } } });
    });

    test('find nobody where no session is, or none takes calls', async () => {
      bus.join('hub', 'd1', new FakeSession());
      expect(await bus.callMethod('hub', 'd1', call, never)).toBeUndefined();
      expect(await bus.callMethod('hub', 'd2', call, never)).toBeUndefined();
      expect(await bus.callMethod('hub', 'D1', call, never)).toBeUndefined();
    });

    test('do not reach a session that is being cut, but the newer one', async () => {
      const older = new FakeSession({ closesAtOnce: false });
      const newer = new FakeSession();
      older.onCall = () => Promise.resolve({ kind: 'answered', status: 1, payload: null });
      newer.onCall = () => Promise.resolve({ kind: 'answered', status: 2, payload: null });
      bus.join('hub', 'd1', older);
      bus.join('hub', 'd1', newer);
      await settle();
      expect(await bus.callMethod('hub', 'd1', call, never)).toMatchObject({ status: 2 });
      older.close();
    });

    test('the end of the waiting reaches the session', async () => {
      const aborter = new AbortController();
      const session = new FakeSession();
      session.onCall = (_call, signal) =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve({ kind: 'abandoned' }), { once: true }));
      bus.join('hub', 'd1', session);
      const calling = bus.callMethod('hub', 'd1', call, aborter.signal);
      await settle();
      aborter.abort();
      expect(await calling).toEqual({ kind: 'abandoned' });
    });
  });
}
