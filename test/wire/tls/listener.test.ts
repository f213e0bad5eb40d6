import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { seconds } from '../../../src/kernel/clock.ts';
import { openTlsListener } from '../../../src/transports/tls/engine/listener.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';

const now = Date.now();
const certified = make({ subject: 'localhost', key: ecKey(), notBefore: now - 1000, notAfter: now + 86_400_000 });
const credentials = { key: certified.key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string, cert: certified.pem };

const listenOn = (address: string, port: number) =>
  openTlsListener({
    name: 'https',
    address,
    port,
    credentials,
    requestCertificate: true,
    maxConnections: 1,
    handshakeTimeout: seconds(1),
    onConnection: () => undefined,
    log: new RecordingLog(),
  });

test('refused/a port that is taken: the flag that chooses another', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await expect(listenOn('127.0.0.1', port)).rejects.toThrow(
    `Port ${port} (https) is taken by another program: stop it, choose another with --https-port N`,
  );
  other.close();
});

test.each(['192.0.2.1', 'no-such-name.invalid'])(
  'refused/the address %s: it is the address that is wrong, not the port',
  async (address) => {
    await expect(listenOn(address, 0)).rejects.toThrow(
      `Address ${address} is not one of this machine's: choose another with --bind ADDRESS.`,
    );
  },
);
