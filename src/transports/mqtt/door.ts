import { limits } from '../../contracts/limits.ts';
import type { Hub } from '../../hub/service.ts';
import type { ByteBudget } from '../../kernel/byte-budget.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Ids } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { Provisioning } from '../../provisioning/service.ts';
import type { Door } from '../connection.ts';
import { createDpsBinding } from './dps/binding.ts';
import type { MqttTransport } from './engine/binding.ts';
import { createMqttEngine } from './engine/engine.ts';
import { refusalCode } from './errors.ts';
import { createHubBinding } from './hub/binding.ts';

export interface MqttDoorDeps {
  readonly provisioning: Pick<Provisioning, 'registrations'>;
  readonly hub: Pick<Hub, 'hubs' | 'devicePlane' | 'deviceMessages' | 'subscriptions'>;
  /** What the connections of all doors buffer together. */
  readonly budget?: ByteBudget;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
}

/** MQTT 3.1.1 for both services, over TLS and over WebSocket; the user name of the CONNECT tells them apart. */
export function createMqttDoor({ provisioning, hub, clock, ids, log, budget }: MqttDoorDeps): Door<MqttTransport> {
  return createMqttEngine({
    // In this order: a provisioning user name also has the outline of a hub's.
    bindings: [
      createDpsBinding({ registrations: provisioning.registrations, clock, ids, log }),
      createHubBinding({ hub, clock, ids, log }),
    ],
    limits: {
      unauthenticatedBytes: limits.unauthenticatedBytes,
      connectSeconds: limits.connectSeconds,
      keepAliveSeconds: limits.mqttKeepAliveSeconds,
      subscriptions: limits.mqttSubscriptions,
      inflight: limits.mqttInflight,
      outboundBytes: limits.mqttOutboundBytes,
      connections: limits.connectionsPerListener,
    },
    refusalCode,
    ...(budget === undefined ? {} : { budget }),
    clock,
    ids,
    log,
  });
}
