import type { AmqpLimits } from './limits.ts';
import { rhea, type RheaConnection, type SaslMechanism } from './rhea.ts';

/** A connection of rhea's with every default of its that we do not want switched off; the socket comes later. */
export function createServerRhea({
  limits,
  id,
  mechanisms,
  onFault,
}: {
  readonly limits: AmqpLimits;
  readonly id: string;
  readonly mechanisms: Record<string, () => SaslMechanism>;
  readonly onFault: (error: unknown) => void;
}): RheaConnection {
  const container = rhea.create_container({ id });
  container.sasl_server_mechanisms = mechanisms;
  const connection = container.create_connection({
    max_frame_size: limits.frameBytes,
    channel_max: limits.sessions - 1,
    idle_time_out: limits.idleSeconds * 1000,
    reconnect: false,
    receiver_options: { credit_window: 0, autoaccept: false },
  });
  // rhea throws what nobody listens to; to the container it reports detaches with an error, which end nothing else.
  container.on('error', () => {});
  for (const event of ['error', 'protocol_error']) connection.on(event, (error: unknown) => onFault(error));
  for (const event of ['connection_error', 'connection_close', 'disconnected', 'session_error']) connection.on(event, () => {});
  return connection;
}
