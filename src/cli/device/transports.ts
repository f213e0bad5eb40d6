import type { TransportName } from '../../contracts/transport.ts';
import { amqpTransport, amqpWebSocketTransport } from './amqp.ts';
import type { DeviceTransport } from './door.ts';
import { httpsTransport } from './https.ts';
import { mqttTransport, mqttWebSocketTransport } from './mqtt.ts';

/** Every way of a simulated device to the service. */
export const deviceTransports: Readonly<Record<TransportName, DeviceTransport>> = {
  https: httpsTransport,
  mqtt: mqttTransport,
  'mqtt-ws': mqttWebSocketTransport,
  amqp: amqpTransport,
  'amqp-ws': amqpWebSocketTransport,
};
