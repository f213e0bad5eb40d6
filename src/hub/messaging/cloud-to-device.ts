import { limits } from '../../contracts/limits.ts';
import type { Clock } from '../../kernel/clock.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { requireDevice, requireHub } from '../lookup.ts';
import type { HubStorage, SessionBus } from '../ports.ts';
import type { CloudToDevice } from '../service.ts';
import { endMessage } from './end-message.ts';
import { checkSendable } from './message-rules.ts';
import { deviceQueue } from './queues.ts';

interface CloudToDeviceDeps {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
}

/** Messages to devices as services send them (chapter 7.1). */
export function createCloudToDevice({ storage, bus, clock }: CloudToDeviceDeps): CloudToDevice {
  return {
    async send(hub, deviceId, message) {
      const expiresAt = checkSendable(message, clock.now());
      await storage.write(async (transaction) => {
        const { name } = await requireHub(transaction.hubs, hub);
        const { generationId } = await requireDevice(transaction, name, deviceId);
        const queue = deviceQueue(name, deviceId);
        // Appended first: its counter makes two senders wait for each other, so that both count the same queue.
        await transaction.queues.append({ queue, generationId, message, enqueuedAt: clock.now(), expiresAt });
        if ((await transaction.queues.count(queue)) > limits.cloudToDeviceDepth) throw tooDeep(deviceId);
        transaction.afterCommit(() => bus.ring({ hub: name, about: 'queue', queue: queue.name }));
      });
    },

    async purge(hub, deviceId) {
      return storage.write(async (transaction) => {
        const { name } = await requireHub(transaction.hubs, hub);
        await requireDevice(transaction, name, deviceId);
        const rows = await transaction.queues.list(deviceQueue(name, deviceId), limits.cloudToDeviceDepth);
        const step = { transaction, bus, now: clock.now() };
        for (const row of rows) await endMessage(step, row, 'Purged');
        const resource = { kind: 'device-queue', id: deviceId, scope: name };
        transaction.changes.record({ action: 'device-queue.purge', resource, before: { messages: rows.length }, after: { messages: 0 } });
        return { totalMessagesPurged: rows.length, deviceId, moduleId: null };
      });
    },
  };
}

function tooDeep(deviceId: string): ServiceError {
  return new ServiceError(
    'DeviceMaximumQueueDepthExceeded',
    `${limits.cloudToDeviceDepth} messages wait for the device '${deviceId}', which is as many as its queue holds.`,
  );
}
