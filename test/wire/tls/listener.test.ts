import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect, test } from 'vitest';
import { seconds } from '../../../src/kernel/clock.ts';
import type { PeerConnection } from '../../../src/transports/connection.ts';
import { openTlsListener } from '../../../src/transports/tls/engine/listener.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';

const now = Date.now();
const certified = make({ subject: 'localhost', key: ecKey(), notBefore: now - 1000, notAfter: now + 86_400_000 });
const credentials = { key: certified.key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string, cert: certified.pem };

const listenOn = (address: string, port: number, onConnection: (connection: PeerConnection) => void = () => undefined) =>
  openTlsListener({
    name: 'https',
    address,
    port,
    credentials,
    requestCertificate: true,
    maxConnections: 1,
    handshakeTimeout: seconds(1),
    onConnection,
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

test.each([
  ['says nothing', []],
  ['says a byte of its greeting, and another', [0x16, 0x03, 0x01, 0x3f, 0xff, 0x01]],
])('a client that %s is cut off when the time for its handshake is over', async (_, bytes) => {
  const accepted: PeerConnection[] = [];
  const listener = await listenOn('127.0.0.1', 0, (connection) => accepted.push(connection));
  const startedAt = performance.now();
  const client = connect(listener.port, '127.0.0.1');
  client.on('error', () => undefined);
  let said = 0;
  // The time that TLS keeps is a real one: bytes that trickle in must not prolong it.
  const trickle = setInterval(() => {
    const byte = bytes[said];
    if (byte !== undefined) client.write(Buffer.from([byte]));
    said += 1;
  }, 150);
  await once(client, 'close');
  clearInterval(trickle);
  expect(performance.now() - startedAt).toBeGreaterThan(900);
  expect([accepted, said < 20]).toEqual([[], true]);
  await listener.close();
});

test('closing waits for no connection: those that are open stay, new ones are not taken', async () => {
  const accepted: PeerConnection[] = [];
  const listener = await listenOn('127.0.0.1', 0, (connection) => accepted.push(connection));
  const client = connectTls({ host: '127.0.0.1', port: listener.port, servername: 'localhost', ca: certified.pem });
  await once(client, 'secureConnect');
  await expect.poll(() => accepted.length).toBe(1);
  await listener.close();
  accepted[0]?.stream.write('still here');
  const [heard] = (await once(client, 'data')) as [Buffer];
  expect(heard.toString()).toBe('still here');
  const late = connect(listener.port, '127.0.0.1');
  const [refused] = (await once(late, 'error')) as [NodeJS.ErrnoException];
  expect(refused.code).toBe('ECONNREFUSED');
  client.destroy();
});

const top = make({ subject: 'root', key: ecKey(), ca: true, notBefore: now - 1000, notAfter: now + 86_400_000 });
const middle = make({ subject: 'middle', key: ecKey(), ca: true, issuer: top, notBefore: now - 1000, notAfter: now + 86_400_000 });
const device = make({ subject: 'device', key: ecKey(), issuer: middle, notBefore: now - 1000, notAfter: now + 86_400_000 });

/** A connection as the listener hands it on, whose client sends these certificates, leaf first. */
async function shown(sent: readonly { readonly pem: string }[], maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') {
  const accepted: PeerConnection[] = [];
  const listener = await listenOn('127.0.0.1', 0, (connection) => accepted.push(connection));
  const own =
    sent.length === 0
      ? {}
      : { cert: sent.map(({ pem }) => pem).join('\n'), key: device.key.privateKey.export({ format: 'pem', type: 'pkcs8' }) };
  const client = connectTls({
    host: '127.0.0.1',
    port: listener.port,
    servername: 'localhost',
    ca: certified.pem,
    maxVersion,
    ...own,
  });
  await expect.poll(() => accepted.length).toBe(1);
  const leave = async (): Promise<void> => {
    client.destroy();
    await listener.close();
  };
  const [connection] = accepted;
  if (connection === undefined) throw new Error('no connection came in');
  return { connection, leave };
}

const hex = (certificates: Iterable<Uint8Array>): readonly string[] => Array.from(certificates, (der) => Buffer.from(der).toString('hex'));

test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: what a client sent is there, leaf first, as often as somebody looks', async (version) => {
  const { connection, leave } = await shown([device, middle, top], version);
  const [leaf] = connection.certificates;
  expect(leaf && hex([leaf])).toEqual(hex([device.der]));
  expect(hex(connection.certificates)).toEqual(hex([device.der, middle.der, top.der]));
  await leave();
  await expect.poll(() => connection.stream.destroyed).toBe(true);
  // What was read once stays.
  expect(hex(connection.certificates)).toEqual(hex([device.der, middle.der, top.der]));
});

test('a leaf alone, and nothing at all', async () => {
  const alone = await shown([device]);
  expect(hex(alone.connection.certificates)).toEqual(hex([device.der]));
  await alone.leave();
  const without = await shown([]);
  expect(hex(without.connection.certificates)).toEqual([]);
  await without.leave();
});

test('of a peer that left, the leaf is known; that it sent no more cannot be said', async () => {
  const { connection, leave } = await shown([device, middle]);
  connection.stream.resume();
  await leave();
  await expect.poll(() => connection.stream.destroyed).toBe(true);
  const [leaf] = connection.certificates;
  expect(leaf && hex([leaf])).toEqual(hex([device.der]));
  expect(() => hex(connection.certificates)).toThrow(expect.objectContaining({ error: 'ServerBusy' }));
});
