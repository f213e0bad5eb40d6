import { randomBytes } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { transportNames } from '../../src/contracts/transport.ts';
import { hours, instant, plus } from '../../src/kernel/clock.ts';
import { createDeviceCertificate } from '../../src/pki/issue.ts';
import { randomIds } from '../../src/runtime/random-ids.ts';
import type { Issued } from './harness/cert-gen.ts';
import { Device, groupOf, openStage, type Stage } from './harness/stage.ts';

// What must not get in: told by the right code over every transport, and without harm to those who may.

let stage: Stage;
let good: Issued;

beforeAll(async () => {
  stage = await openStage();
  good = await stage.pki.device('good', stage.root);
  await stage.sdks.run('dps', {
    connectionString: stage.dpsConnectionString,
    method: 'createOrUpdateEnrollmentGroup',
    args: [groupOf('all', stage.root)],
  });
});
afterAll(() => stage?.close());

async function expiredLeaf(commonName: string): Promise<Issued> {
  const now = instant(Date.now());
  const issued = await createDeviceCertificate({
    commonName,
    keyType: 'p256',
    notBefore: plus(now, hours(-2)),
    notAfter: plus(now, hours(-1)),
    serialBytes: randomIds.bytes(16),
    issuer: { certificatePem: stage.root.certificate, privateKeyPem: stage.root.key },
  });
  return { ...good, certificate: issued.certificatePem, key: issued.privateKeyPem };
}

describe.concurrent.each(transportNames)('over %s', (transport) => {
  const refusals = {
    'an unknown id scope': async () => new Device({ ...stage, idScope: '0ne00000000' }, { id: 'good', leaf: good, transport }),
    'an expired leaf': async () => new Device(stage, { id: `late-${transport}`, leaf: await expiredLeaf(`late-${transport}`), transport }),
    'a common name that is not the registration id': async () => new Device(stage, { id: 'somebody-else', leaf: good, transport }),
    'a leaf of a CA that nobody knows': async () => {
      const stranger = await stage.pki.root(`Stranger ${transport}`);
      return new Device(stage, { id: 'good', leaf: await stage.pki.device('good', stranger), transport });
    },
  };
  test.each(Object.entries(refusals))('%s is refused with 401002', async (_, device) => {
    const failure = await (await device()).registrationFailure();
    expect(failure.result?.status).toBeUndefined();
    expect(JSON.stringify(failure)).toMatch(/401002|Unauthorized/u);
  });

  test('and the right leaf is let in beside them', async () => {
    expect(await new Device(stage, { id: 'good', leaf: good, transport }).register()).toMatchObject({
      status: 'assigned',
      deviceId: 'good',
    });
  });
});

const hostile: Readonly<Record<string, Buffer>> = {
  'random bytes': randomBytes(64 * 1024),
  'an MQTT CONNECT that declares 256 MiB': Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f, ...randomBytes(1024)]),
  'an AMQP frame that declares 2 GiB': Buffer.concat([
    Buffer.from('AMQP\0\x01\0\0'),
    Buffer.from([0x7f, 0xff, 0xff, 0xff, 2, 0, 0, 0]),
    randomBytes(1024),
  ]),
  'a request that declares 2 GiB': Buffer.from(`PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${2 ** 31}\r\n\r\n`),
  'a head without end': Buffer.from(`GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ${'x'.repeat(128 * 1024)}`),
};

describe.each(['https', 'mqtts', 'amqps', 'api'] as const)('garbage on the %s port', (door) => {
  test.each(Object.keys(hostile))('%s, inside TLS and before it, costs its own connection only', async (kind) => {
    const port = stage.service.endpoints.ports[door];
    if (port === undefined) throw new Error('the door is not open');
    const ca = readFileSync(stage.service.endpoints.ca);
    const bytes = hostile[kind] ?? Buffer.alloc(0);
    await ended(connectTcp({ port, host: '127.0.0.1' }), 'connect', bytes);
    await ended(connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca }), 'secureConnect', bytes);
  });

  test('and the service goes on', async () => {
    const device = new Device(stage, { id: 'good', leaf: good, transport: 'mqtt' });
    expect(await device.register()).toMatchObject({ status: 'assigned' });
  });
});

/** Sends bytes and resolves when the service has ended the connection; a peer that says no more than these is not waited for. */
function ended(socket: Socket, ready: string, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(ready, () => socket.write(bytes));
    // The service ends it, in whatever way; what it may say before is read and dropped.
    socket.resume();
    socket.on('error', () => resolve());
    socket.once('close', () => resolve());
    socket.setTimeout(30_000, () => reject(new Error('the service kept the connection open')));
  });
}
