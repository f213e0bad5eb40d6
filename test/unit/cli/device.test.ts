import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AddressInfo, Server } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';

import { generate, type IConnectPacket, type Packet, parser } from 'mqtt-packet';
import rhea, { type EventContext } from 'rhea';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import {
  createFolder,
  createServerIdentity,
  json,
  muster,
  openRecorder,
  type Outcome,
  type Recorder,
  type TestFolder,
  writeEndpoints,
} from './harness.ts';

let identity: Awaited<ReturnType<typeof createServerIdentity>>;
let folder: TestFolder;
let certificate: string;
let key: string;
const closers: (() => void | Promise<void>)[] = [];

beforeAll(async () => {
  identity = await createServerIdentity();
  folder = createFolder();
  await muster(['pki', 'device', '--name', 'sensor-thl-002', '--out', folder.path]);
  certificate = `${folder.path}/sensor-thl-002.cert.pem`;
  key = `${folder.path}/sensor-thl-002.key.pem`;
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});
afterAll(() => folder.remove());

const device = (...argv: string[]): Promise<Outcome> =>
  muster(['device', 'run', '--certificate', certificate, '--key', key, '--data', folder.path, ...argv]);

const assigned = {
  operationId: '4.op',
  status: 'assigned',
  registrationState: {
    status: 'assigned',
    substatus: 'initialAssignment',
    assignedHub: 'hub-a.azure-devices.localhost',
    deviceId: 'sensor-thl-002',
  },
};
const disabled = { operationId: '', status: 'disabled', registrationState: { status: 'disabled', assignedHub: '', deviceId: '' } };
const unauthorised = { errorCode: 401_002, trackingId: 'abc', message: 'CA certificate not found.' };

describe('over HTTPS', () => {
  async function open(): Promise<Recorder> {
    const service = await openRecorder(identity);
    closers.push(() => service.close());
    writeEndpoints(folder, identity.ca, { https: service.port, api: 1 });
    return service;
  }

  test('registers, polls as told, sends telemetry to the assigned hub', async () => {
    const service = await open();
    service.answer = ({ method, url }, response) => {
      if (method === 'PUT') json(202, { operationId: '4.op', status: 'assigning' }, { 'retry-after': '0.01' })({} as never, response);
      else if (method === 'GET') json(200, assigned)({} as never, response);
      else json(url.startsWith('/devices/') ? 204 : 404, undefined)({} as never, response);
    };
    const outcome = await device('--transport', 'https', '--messages', '2', '--interval', '0');
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout.replaceAll(/[\d.]+ ms/gu, 'N ms').split('\n')).toEqual([
      `registering sensor-thl-002 at localhost:${service.port} over https`,
      'assigned to hub-a.azure-devices.localhost as sensor-thl-002 (initialAssignment)',
      'message 1 of 2 acknowledged after N ms',
      'message 2 of 2 acknowledged after N ms',
      'done',
      '',
    ]);
    expect(service.requests.map(({ method, url, headers }) => `${method} ${headers.host?.split(':')[0]} ${url}`)).toEqual([
      'PUT localhost /0ne00000001/registrations/sensor-thl-002/register?api-version=2021-06-01',
      'GET localhost /0ne00000001/registrations/sensor-thl-002/operations/4.op?api-version=2021-06-01',
      ...Array.from(
        { length: 2 },
        () => 'POST hub-a.azure-devices.localhost /devices/sensor-thl-002/messages/events?api-version=2021-04-12',
      ),
    ]);
    expect(service.requests[0]?.body).toBe('{"registrationId":"sensor-thl-002"}');
  });

  test.each<[string, number, unknown, string]>([
    ['disabled is a result', 200, disabled, 'refused: status disabled'],
    ['failed is one, too', 200, { status: 'failed', registrationState: { errorMessage: 'no hub' } }, 'refused: status failed (no hub)'],
    ['unknown devices', 401, unauthorised, 'refused: 401002 CA certificate not found. (tracking id abc)'],
    ['no words', 404, undefined, 'refused: 404'],
  ])('%s', async (_name, status, body, line) => {
    const service = await open();
    service.answer = json(status, body);
    const outcome = await device('--transport', 'https');
    expect(outcome).toMatchObject({ code: 1, stderr: '' });
    expect(outcome.stdout.trimEnd().split('\n').at(-1)).toBe(line);
    expect(service.requests).toHaveLength(1);
  });

  test('a busy service is asked again', async () => {
    const service = await open();
    service.answer = (request, response) =>
      json(service.requests.length === 1 ? 429 : 200, disabled, { 'retry-after': '0.01' })(request, response);
    expect((await device('--transport', 'https')).code).toBe(1);
    expect(service.requests).toHaveLength(2);
  });

  test('a hub that refuses the message ends it in one line', async () => {
    const service = await open();
    const refusal = json(401, { Message: 'ErrorCode:IotHubUnauthorized;Unauthorized' });
    service.answer = (request, response) => (request.method === 'POST' ? refusal : json(200, assigned))(request, response);
    const outcome = await device('--transport', 'https');
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toMatch(/\nrefused: Unauthorized \(401, IotHubUnauthorized\)\.\n$/u);
  });

  test('--json says the same for programs', async () => {
    const service = await open();
    service.answer = json(200, disabled);
    const steps = (await device('--transport', 'https', '--json')).stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(steps).toMatchObject([
      { step: 'registering', registrationId: 'sensor-thl-002', transport: 'https' },
      { step: 'refused', reason: 'status disabled', at: expect.stringMatching(/Z$/u) as string },
    ]);
  });
});

describe('over MQTT', () => {
  interface Peer {
    readonly connects: IConnectPacket[];
    readonly topics: string[];
  }

  /** A server that answers the topics of both services and hangs up on the device when its telemetry is in. */
  async function open(options: { readonly connack?: number; readonly registration: readonly [number, unknown] }): Promise<Peer> {
    const peer: Peer = { connects: [], topics: [] };
    const server: Server = createServer(
      { cert: identity.cert, key: identity.key, requestCert: true, rejectUnauthorized: false },
      (socket) => talk(socket, peer, options),
    );
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    closers.push(() => void server.close());
    writeEndpoints(folder, identity.ca, { https: 1, api: 1, mqtts: (server.address() as AddressInfo).port });
    return peer;
  }

  function talk(
    socket: TLSSocket,
    peer: Peer,
    options: { readonly connack?: number; readonly registration: readonly [number, unknown] },
  ): void {
    const reader = parser();
    const send = (packet: Packet): void => void socket.write(generate(packet));
    const respond = (topic: string, payload: string): void => send({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false });
    reader.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connect') {
        peer.connects.push(packet);
        send({
          cmd: 'connack',
          returnCode: packet.username?.includes('/registrations/') === true ? 0 : (options.connack ?? 0),
          sessionPresent: false,
        });
      } else if (packet.cmd === 'subscribe') {
        send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted: [1] });
      } else if (packet.cmd === 'publish') {
        peer.topics.push(packet.topic);
        send({ cmd: 'puback', messageId: packet.messageId ?? 0 });
        const rid = /\$rid=(\d+)/u.exec(packet.topic)?.[1] ?? '';
        if (packet.topic.startsWith('$dps/'))
          respond(`$dps/registrations/res/${options.registration[0]}/?$rid=${rid}`, JSON.stringify(options.registration[1]));
        else if (packet.topic.startsWith('$iothub/twin/GET'))
          respond(`$iothub/twin/res/200/?$rid=${rid}`, '{"desired":{"i":1,"$version":1},"reported":{"$version":1}}');
        else if (packet.topic.startsWith('$iothub/twin/PATCH')) respond(`$iothub/twin/res/204/?$rid=${rid}&$version=2`, '');
        else setImmediate(() => socket.destroy());
      }
    });
    socket.on('data', (chunk: Buffer) => reader.parse(chunk));
    socket.on('error', () => undefined);
  }

  test('lives at the hub until the hub hangs up', async () => {
    const peer = await open({ registration: [200, assigned] });
    const outcome = await device('--messages', '1', '--stay');
    const lines = outcome.stdout.trimEnd().split('\n');
    expect(outcome).toMatchObject({ code: 1, stderr: '' });
    expect(lines.slice(2, 5)).toEqual([
      expect.stringMatching(/^connected to hub-a\.azure-devices\.localhost:\d+ over mqtt$/u),
      'twin: desired {"i":1,"$version":1}, reported {"$version":1}',
      expect.stringMatching(/^reported \{"startedAt":"[^"]+","transport":"mqtt"\}, now version 2$/u),
    ]);
    expect(lines.at(-1)).toMatch(
      /^disconnected by hub-a\.azure-devices\.localhost at \d{4}-[^ ]+Z: the connection was closed by the service$/u,
    );
    expect(peer.connects.map(({ clientId, username, password }) => [clientId, username, password])).toEqual([
      ['sensor-thl-002', '0ne00000001/registrations/sensor-thl-002/api-version=2021-06-01&ClientVersion=muster', undefined],
      ['sensor-thl-002', 'hub-a.azure-devices.localhost/sensor-thl-002/?api-version=2021-04-12&DeviceClientType=muster', undefined],
    ]);
    expect(peer.topics.at(-1)).toMatch(
      /^devices\/sensor-thl-002\/messages\/events\/%24\.mid=[\w-]+&%24\.ct=application%2Fjson&%24\.ce=utf-8$/u,
    );
  });

  test.each<[string, Parameters<typeof open>[0], string]>([
    ['disabled', { registration: [200, disabled] }, 'refused: status disabled'],
    ['unknown', { registration: [401, unauthorised] }, 'refused: 401002 CA certificate not found. (tracking id abc)'],
    ['not admitted by the hub', { registration: [200, assigned], connack: 5 }, 'refused: CONNACK 5 not authorized'],
  ])('%s', async (_name, options, line) => {
    await open(options);
    const outcome = await device();
    expect(outcome).toMatchObject({ code: 1, stderr: '' });
    expect(outcome.stdout.trimEnd().split('\n').at(-1)).toBe(line);
  });

  test('a door that the service does not have is named', async () => {
    await open({ registration: [200, assigned] });
    expect(await device('--transport', 'amqp')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('The running service has no door for amqp.') as string,
    });
  });
});

describe('over AMQP', () => {
  /** A server that answers or rejects the register message. */
  async function open(answer: (context: EventContext) => void): Promise<void> {
    const container = rhea.create_container();
    const server = container.listen({
      port: 0,
      host: '127.0.0.1',
      transport: 'tls',
      cert: identity.cert,
      key: identity.key,
      requestCert: true,
      rejectUnauthorized: false,
    } as never);
    container.on('sender_open', ({ sender }: EventContext) => sender?.set_source({ address: sender.source.address }));
    container.on('receiver_open', ({ receiver }: EventContext) => receiver?.set_target(receiver.target));
    container.on('message', answer);
    container.on('disconnected', () => undefined);
    await new Promise((resolve) => {
      server.once('listening', resolve);
    });
    closers.push(() => void server.close());
    writeEndpoints(folder, identity.ca, { https: 1, api: 1, amqps: (server.address() as AddressInfo).port });
  }

  test('disabled is a result', async () => {
    await open(({ connection, message }) => {
      const body = rhea.message.data_section(Buffer.from(JSON.stringify(disabled)));
      const link = connection.find_sender(() => true);
      link?.send({ correlation_id: message?.correlation_id as string, body });
    });
    const outcome = await device('--transport', 'amqp');
    expect(outcome).toMatchObject({ code: 1, stderr: '' });
    expect(outcome.stdout).toMatch(/\nrefused: status disabled\n$/u);
  });

  test('a rejection carries the error in its description', async () => {
    await open(({ delivery }) => delivery?.reject({ condition: 'amqp:unauthorized-access', description: JSON.stringify(unauthorised) }));
    expect((await device('--transport', 'amqp')).stdout).toMatch(/\nrefused: 401002 CA certificate not found\. \(tracking id abc\)\n$/u);
  });

  test('so does one that is no JSON', async () => {
    await open(({ delivery }) => delivery?.reject({ condition: 'amqp:not-allowed', description: 'go away' }));
    expect((await device('--transport', 'amqp')).stdout).toMatch(/\nrefused: 400 amqp:not-allowed go away\n$/u);
  });
});

describe('what cannot be run', () => {
  test.each<[string, string[], number, string]>([
    ['staying without a connection', ['--transport', 'https', '--stay'], 2, '--stay needs a connection, and HTTPS has none.'],
    ['fewer than no messages', ['--messages', '-1'], 2, 'argument --messages: must be 0 or more.'],
    ['another service', ['--dps-name', 'dps-x'], 3, "There is no provisioning service 'dps-x'"],
  ])('%s', async (_name, argv, code, words) => {
    writeEndpoints(folder, identity.ca, { https: 1, api: 1 });
    expect(await device(...argv)).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(words) as string });
  });

  test('without a data folder the service has to be named', async () => {
    const outcome = await muster(['device', 'run', '--certificate', certificate, '--key', key, '--data', '/nowhere']);
    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining('Or give --id-scope and --host.') as string });
  });
});

describe('what a device cannot be run with', () => {
  const run = (certificateFile: string, keyFile: string, ...argv: string[]): Promise<Outcome> =>
    muster(['device', 'run', '--certificate', certificateFile, '--key', keyFile, '--data', folder.path, ...argv]);

  beforeAll(async () => {
    writeEndpoints(folder, identity.ca, { https: 1, mqtts: 1, amqps: 1, api: 1 });
    await muster(['pki', 'device', '--name', 'other', '--out', folder.path]);
    folder.write('encrypted.key.pem', encryptedKey());
    folder.write('text.pem', 'hello\n');
  });

  test.each<[string, string, string, string]>([
    [
      'a key of another',
      'sensor-thl-002.cert.pem',
      'other.key.pem',
      'The key in {key} does not belong to the certificate in {certificate}.',
    ],
    ['a key for a certificate', 'other.key.pem', 'other.key.pem', '{certificate} holds a private key, not a certificate.'],
    ['a certificate for a key', 'other.cert.pem', 'other.cert.pem', '{key} holds no private key.'],
    ['a key with a pass phrase', 'other.cert.pem', 'encrypted.key.pem', 'The key in {key} is encrypted. Decrypt it with'],
    ['a text', 'text.pem', 'other.key.pem', '{certificate} holds no certificate.'],
  ])('%s', async (_name, certificateName, keyName, sentence) => {
    const [certificateFile, keyFile] = [`${folder.path}/${certificateName}`, `${folder.path}/${keyName}`];
    const outcome = await run(certificateFile, keyFile);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toMatch(/^ERROR: [^\n]+\n$/u);
    expect(outcome.stderr).toContain(sentence.replace('{key}', keyFile).replace('{certificate}', certificateFile));
  });

  test('a certificate in DER is as good as one in PEM', async () => {
    const der = folder.write('device.der', new X509Certificate(readFileSync(certificate)).raw);
    expect((await run(der, key, '--transport', 'https')).stderr).toContain('Nothing answers at https://localhost:1.');
  });

  test('a port that was written down is the one that is used', async () => {
    const outcome = await run(certificate, key, '--host', 'localhost:2', '--id-scope', '0ne00000001');
    expect(outcome.stderr).toContain('Nothing answers at localhost:2.');
  });
});

function encryptedKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' }).toString();
}
