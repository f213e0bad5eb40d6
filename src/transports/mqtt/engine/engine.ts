import type { Door, PeerConnection } from '../../connection.ts';
import type { MqttTransport } from './binding.ts';
import { Decoder } from './codec.ts';
import { MqttConnection, type EngineDeps } from './connection.ts';

/**
 * MQTT 3.1.1 on connections that a listener or a WebSocket upgrade hands over. Knows bytes, sessions and limits; what
 * topics mean is the bindings' business.
 */
export function createMqttEngine(deps: EngineDeps): Door<MqttTransport> {
  const connections = new Set<MqttConnection>();
  const shared = { ...deps, decoder: new Decoder() };
  let closing = false;
  return {
    accept(peer: PeerConnection, transport: MqttTransport): void {
      if (closing || connections.size >= deps.limits.connections) {
        deps.log.warn('mqtt.turned-away', { transport, remoteAddress: peer.remoteAddress, closing });
        peer.stream.on('error', () => undefined);
        peer.stream.destroy();
        return;
      }
      const connection = new MqttConnection(shared, peer, transport);
      connections.add(connection);
      void connection.done.then(() => connections.delete(connection));
    },
    async close(): Promise<void> {
      closing = true;
      await Promise.all([...connections].map((connection) => connection.shutDown()));
    },
    connectionCount: () => connections.size,
  };
}
