import { limits } from '../../contracts/limits.ts';
import type { Hub } from '../../hub/service.ts';
import type { ByteBudget } from '../../kernel/byte-budget.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Ids } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { Provisioning } from '../../provisioning/service.ts';
import type { Door } from '../connection.ts';
import { createTpmSasl, type TpmSasl } from './dps/tpm-sasl.ts';
import { createDpsBinding } from './dps/binding.ts';
import type { AmqpBinding, AmqpConnection, AmqpTransport } from './engine/binding.ts';
import { ServerConnection } from './engine/connection.ts';
import type { AmqpLimits } from './engine/limits.ts';
import { type AmqpErrors, createAmqpErrors } from './errors.ts';
import { createHubBinding, isHubAddress } from './hub/binding.ts';

export interface AmqpDoorDeps {
  readonly provisioning: Pick<Provisioning, 'registrations' | 'tpmChallenges'>;
  readonly hub: Pick<Hub, 'hubs' | 'devicePlane' | 'deviceMessages' | 'cloudToDevice' | 'feedback' | 'authorize' | 'openServiceSession'>;
  /** What the connections of all doors buffer together. */
  readonly budget?: ByteBudget;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
}

const engineLimits: AmqpLimits = {
  unauthenticatedBytes: limits.unauthenticatedBytes,
  frameBytes: limits.amqpFrameBytes,
  links: limits.amqpLinks,
  connectionLinks: limits.amqpConnectionLinks,
  sessions: limits.amqpSessions,
  unsettledSessions: limits.amqpUnsettledSessions,
  connectSeconds: limits.connectSeconds,
  idleSeconds: limits.amqpIdleSeconds,
  credit: limits.amqpCredit,
  inflightBytes: limits.amqpInflightBytes,
  queuedMessages: limits.amqpQueuedMessages,
  outboundBytes: limits.amqpOutboundBytes,
};

/** AMQP 1.0 for both services, over TLS and over WebSocket; the address of each link tells them apart. */
export function createAmqpDoor(deps: AmqpDoorDeps): Door<AmqpTransport> {
  const errors = createAmqpErrors(deps);
  const connections = new Set<ServerConnection>();
  let closing = false;
  return {
    accept(peer, transport) {
      if (closing || connections.size >= limits.connectionsPerListener) {
        peer.stream.destroy();
        return;
      }
      const tpm = createTpmSasl({ tpmChallenges: deps.provisioning.tpmChallenges, peer: { transport, remoteAddress: peer.remoteAddress } });
      const connection = new ServerConnection({
        ...deps,
        peer,
        transport,
        limits: engineLimits,
        renderError: (thrown) => errors.render(thrown),
        exchanges: { TPM: () => tpm.exchange() },
        bind: (opened) => bindBoth({ ...deps, errors, tpm }, opened),
      });
      connections.add(connection);
      void connection.closed.then(() => connections.delete(connection));
    },
    async close() {
      closing = true;
      const error = errors.render(new ServiceError('ShuttingDown', 'The service is shutting down.'));
      await Promise.all([...connections].map((connection) => connection.cut(error).then(() => connection.closed)));
    },
    connectionCount: () => connections.size,
  };
}

function bindBoth(deps: AmqpDoorDeps & { readonly errors: AmqpErrors; readonly tpm: TpmSasl }, connection: AmqpConnection): AmqpBinding {
  const hub = createHubBinding(deps, connection);
  const dps = createDpsBinding({ registrations: deps.provisioning.registrations, tpm: deps.tpm, clock: deps.clock }, connection);
  return {
    // A hub's device may be called `registrations`, so the hub is asked first.
    async attach(link) {
      if (!isHubAddress(link.address)) return await dps.attach(link);
      const handler = await hub.attach(link);
      if (handler.isProvisional !== true) dps.share();
      return handler;
    },
    closed() {
      dps.closed();
      hub.closed();
    },
  };
}
