// The least that Node does for a mutual handshake: no tickets, a byte as greeting. Arguments: port, certificate, key.
import { constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:tls';

const [port, certificate = '', key = ''] = process.argv.slice(2);
const server = createServer(
  {
    cert: readFileSync(certificate),
    key: readFileSync(key),
    requestCert: true,
    rejectUnauthorized: false,
    secureOptions: constants.SSL_OP_NO_TICKET,
  },
  (socket) => {
    socket.on('error', () => {});
    socket.write('.');
  },
);
server.on('tlsClientError', () => {});
server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
