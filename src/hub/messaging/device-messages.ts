import { limits } from '../../contracts/limits.ts';
import { type Clock, plus, seconds } from '../../kernel/clock.ts';
import type { Ids } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { requireGranted } from '../granted.ts';
import type { HubStorage, HubTransaction, MessageLock, SessionBus } from '../ports.ts';
import type { DeviceGrant, DeviceMessages } from '../service.ts';
import { deviceQueue } from './queues.ts';
import { createReceiver, type MessageSource } from './receiver.ts';
import { settleMessage } from './settle-message.ts';
import { takeMessages } from './take-messages.ts';

interface DeviceMessagesDeps {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
}

/** Cloud-to-device messages as devices receive them (chapters 3.5, 4.6 and 5). */
export function createDeviceMessages(deps: DeviceMessagesDeps): DeviceMessages {
  const { storage, bus, clock, ids } = deps;
  return {
    async receive(grant, lockSeconds = limits.messageLockSeconds) {
      const queue = deviceQueue(grant.hub, grant.deviceId);
      const lock = newLock(deps, readLockSeconds(lockSeconds));
      await requireGranted(storage.read, grant, clock.now());
      bus.touch(grant.hub, grant.deviceId);
      const [waiting] = await storage.read.queues.free(queue, { now: clock.now(), limit: 1 });
      if (waiting === undefined) return undefined;
      return storage.write(async (transaction) => {
        const step = { transaction, bus, now: clock.now() };
        await requireGranted(transaction, grant, step.now);
        for (;;) {
          const { messages, more } = await takeMessages(step, queue, { room: { messages: 1, bytes: 0 }, lock });
          if (messages.length > 0 || !more) return messages[0];
        }
      });
    },

    async settle(grant, lockToken, settlement) {
      await storage.write(async (transaction) => {
        const now = clock.now();
        await requireGranted(transaction, grant, now);
        await settleMessage({ transaction, bus, now }, deviceQueue(grant.hub, grant.deviceId), { lockToken, settlement });
      });
    },

    async openReceiver(grant, sink) {
      const { hub, deviceId } = grant();
      const source = deviceSource(deps, { grant, receiver: ids.guid() });
      // A device has one receiver: what an older one, or one of a service that crashed, still holds is this one's now.
      await storage.write(async (transaction) => {
        await requireGranted(transaction, grant(), clock.now());
        await transaction.queues.release(deviceQueue(hub, deviceId));
      });
      return createReceiver(deps, source, sink);
    },
  };
}

function readLockSeconds(lockSeconds: number): number {
  if (Number.isInteger(lockSeconds) && lockSeconds > 0 && lockSeconds <= limits.messageLockMostSeconds) return lockSeconds;
  throw new ServiceError('ArgumentInvalid', `The lock time must be 1 to ${limits.messageLockMostSeconds} seconds.`);
}

export function newLock(
  { clock, ids }: Pick<DeviceMessagesDeps, 'clock' | 'ids'>,
  lockSeconds: number,
  receiver?: string,
): () => MessageLock {
  return () => ({
    token: ids.guid(),
    until: plus(clock.now(), seconds(lockSeconds)),
    ...(receiver === undefined ? {} : { receiver }),
  });
}

function deviceSource(
  deps: DeviceMessagesDeps,
  { grant, receiver }: { readonly grant: () => DeviceGrant; readonly receiver: string },
): MessageSource {
  const { storage, bus, clock } = deps;
  const { hub, deviceId } = grant();
  const queue = deviceQueue(hub, deviceId);
  const asDevice = <T>(work: (transaction: HubTransaction) => Promise<T>): Promise<T> =>
    storage.write(async (transaction) => {
      await requireGranted(transaction, grant(), clock.now());
      return work(transaction);
    });
  return {
    queue,
    async look() {
      const now = clock.now();
      const [waiting] = await storage.read.queues.free(queue, { now, limit: 1 });
      if (waiting !== undefined) return { ready: true };
      const next = await storage.read.queues.nextUnlock(queue, now);
      return { ready: false, ...(next === undefined ? {} : { next }) };
    },
    take: (room) =>
      asDevice(async (transaction) => {
        const lock = newLock(deps, limits.messageLockSeconds, receiver);
        const taken = await takeMessages({ transaction, bus, now: clock.now() }, queue, { room, lock });
        if (taken.messages.length > 0) transaction.afterCommit(() => bus.touch(hub, deviceId));
        return taken;
      }),
    settle: (lockToken, settlement) =>
      asDevice((transaction) => settleMessage({ transaction, bus, now: clock.now() }, queue, { lockToken, settlement })),
    async release() {
      await storage.write(async (transaction) => {
        const released = await transaction.queues.release(queue, receiver);
        if (released > 0) transaction.afterCommit(() => bus.ring({ hub, about: 'queue', queue: queue.name }));
      });
    },
  };
}
