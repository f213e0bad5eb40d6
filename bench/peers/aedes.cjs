// A broker of others, as its users start it. Arguments: port, certificate, key.
const { readFileSync } = require('node:fs');
const { constants } = require('node:crypto');
const { createServer } = require('node:tls');
const { Aedes } = require('aedes');

const [port, certificate, key] = process.argv.slice(2);

async function main() {
  const broker = await Aedes.createBroker();
  const options = { cert: readFileSync(certificate), key: readFileSync(key), requestCert: true, rejectUnauthorized: false };
  const server = createServer({ ...options, secureOptions: constants.SSL_OP_NO_TICKET }, (socket) => {
    socket.on('error', () => {});
    broker.handle(socket);
  });
  server.on('tlsClientError', () => {});
  server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
}

void main();
