// node:https with one constant document to read, and a PUT that parses JSON and answers with it. Arguments: port, certificate, key.
import { constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const [port, certificate = '', key = ''] = process.argv.slice(2);
const identity = JSON.stringify({
  deviceId: 'bench-000000',
  generationId: '638000000000000000',
  etag: 'MQ==',
  connectionState: 'Disconnected',
  status: 'enabled',
  statusReason: null,
  connectionStateUpdatedTime: '0001-01-01T00:00:00Z',
  statusUpdatedTime: '0001-01-01T00:00:00Z',
  lastActivityTime: '0001-01-01T00:00:00Z',
  cloudToDeviceMessageCount: 0,
  authentication: { symmetricKey: { primaryKey: 'x'.repeat(44), secondaryKey: 'x'.repeat(44) }, type: 'sas' },
  capabilities: { iotEdge: false },
});
const options = { cert: readFileSync(certificate), key: readFileSync(key), secureOptions: constants.SSL_OP_NO_TICKET };
const server = createServer(options, (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const text = request.method === 'PUT' ? JSON.stringify(JSON.parse(Buffer.concat(chunks).toString('utf8'))) : identity;
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }).end(text);
  });
});
server.on('tlsClientError', () => {});
server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
