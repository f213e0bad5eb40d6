// A rhea server that accepts whatever comes. Arguments: port, certificate, key.
import { constants } from 'node:crypto';
import { readFileSync } from 'node:fs';

import rhea from 'rhea';

const [port, certificate = '', key = ''] = process.argv.slice(2);
const container = rhea.create_container({ id: 'bare' });
container.on('disconnected', () => {});
container.on('connection_error', () => {});
const server = container.listen({
  port: Number(port),
  host: '127.0.0.1',
  transport: 'tls',
  cert: readFileSync(certificate),
  key: readFileSync(key),
  requestCert: true,
  rejectUnauthorized: false,
  secureOptions: constants.SSL_OP_NO_TICKET,
});
server.on('listening', () => console.log('ready'));
