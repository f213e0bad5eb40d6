import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { MusterEvent } from '../../src/contracts/fleet/event.ts';
import type { Tripwire } from '../../src/contracts/fleet/tripwire.ts';
import { transportNames } from '../../src/contracts/transport.ts';
import { instant } from '../../src/kernel/clock.ts';
import { createDeviceCertificate, createRootCertificate, type IssuedCertificate } from '../../src/pki/issue.ts';
import { randomIds } from '../../src/runtime/random-ids.ts';
import { callHttps } from './harness/https.ts';
import { muster, removeFolder, type RunningService, startService, temporaryFolder } from './harness/service.ts';
import { Device, groupOf, openStage, type Stage } from './harness/stage.ts';

async function run<T>(data: string, ...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await muster(data, [...args, '-o', 'json']);
  expect({ code, stderr }, args.join(' ')).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as T;
}

describe('genuine SDKs that are told to wait', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
    const args = [groupOf('all', stage.root)];
    await stage.sdks.run('dps', { connectionString: stage.dpsConnectionString, method: 'createOrUpdateEnrollmentGroup', args });
  });
  afterAll(() => stage?.close());

  test.each(transportNames)('report over %s what they reported without it, and every attempt is counted', async (transport) => {
    const id = `wire-${transport}`;
    const device = new Device(stage, { id, leaf: await stage.pki.device(id, stage.root), transport });
    await device.register();
    const { data } = stage.service;
    await run(data, 'deprovision', id, '--reason', 'stolen', '--by', 'id');
    const failures = [await device.registrationFailure(), await device.registrationFailure()];
    for (const { name, result } of failures) expect([name, result?.status]).toEqual(['SyntaxError', 'disabled']);
    const tripwire = await run<Tripwire>(data, 'tripwire', 'show', id);
    const doors = tripwire.doors.filter(({ side }) => side === 'provisioning');
    expect(doors).toEqual([{ side: 'provisioning', place: 'dps-local', transport, attempts: 2 }]);
    // Its proof is evaluated, and is no attempt.
    expect(tripwire).toMatchObject({ attempts: 2, proven: 2, retryAfterSeconds: 60 });
  });
});

describe('a service that is killed', () => {
  const folder = temporaryFolder();
  const data = join(folder, 'data');
  const secret = 'a secret that both sides know';
  const received: MusterEvent[] = [];
  let isUp = false;
  let receiver: Server;
  let service: RunningService | undefined;
  let root: IssuedCertificate;
  let leaf: IssuedCertificate;

  const validity = () => ({
    notBefore: instant(Date.now() - 3_600_000),
    notAfter: instant(Date.now() + 86_400_000),
    serialBytes: randomIds.bytes(16),
    keyType: 'p256' as const,
  });

  beforeAll(async () => {
    root = await createRootCertificate({ commonName: 'tripwire root', ...validity() });
    leaf = await createDeviceCertificate({ commonName: 'sensor-1', ...validity(), issuer: root });
    receiver = createServer((message, response) => void take(message, response));
    receiver.listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    writeFileSync(join(folder, 'secret'), `${secret}\n`);
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/events`;
    writeFileSync(join(folder, 'muster.yaml'), JSON.stringify({ eventWebhook: { url, secretFile: join(folder, 'secret') } }));
    writeFileSync(join(folder, 'root.pem'), root.certificatePem);
  });
  afterEach(async () => {
    await service?.stop('SIGKILL');
  });
  afterAll(() => {
    receiver.closeAllConnections();
    receiver.close();
    removeFolder(folder);
  });

  /** Takes what is signed with the secret, while it is up. */
  async function take(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(message);
    const [, t = '', v1 = ''] = /^t=(\d+),v1=([0-9a-f]+)$/u.exec(String(message.headers['x-muster-signature'])) ?? [];
    const isTaken = isUp && createHmac('sha256', secret).update(`${t}.${body}`, 'utf8').digest('hex') === v1;
    if (isTaken) received.push(JSON.parse(body) as MusterEvent);
    response.writeHead(isTaken ? 200 : 503).end();
  }

  const start = async () => (service = await startService(data, ['--config', join(folder, 'muster.yaml')]));

  async function register(): Promise<{ readonly status: number; readonly wait: unknown }> {
    const { endpoints } = service ?? expect.fail('the service does not run');
    const body = JSON.stringify({ registrationId: 'sensor-1' });
    const { status, headers } = await callHttps({
      method: 'PUT',
      path: `/${endpoints.dps[0]?.idScope}/registrations/sensor-1/register?api-version=2021-06-01`,
      port: endpoints.ports.https!,
      ca: readFileSync(endpoints.ca, 'utf8'),
      body,
      headers: { 'content-type': 'application/json', 'content-length': String(body.length) },
      cert: leaf.certificatePem,
      key: leaf.privateKeyPem,
    });
    return { status, wait: headers['retry-after'] };
  }

  test('has every attempt that it answered, and the webhook gets its events once it is back', { timeout: 180_000 }, async () => {
    await start();
    const create = ['iot', 'dps', 'enrollment-group', 'create', '-n', 'dps-local', '--eid', 'all', '--cp', join(folder, 'root.pem')];
    expect(await muster(data, create)).toMatchObject({ code: 0, stderr: '' });
    expect((await register()).status).toBe(202);
    await run(data, 'deprovision', 'sensor-1', '--reason', 'stolen');

    const waits: unknown[] = [];
    for (let kill = 0; kill < 3; kill += 1) {
      for (let attempt = 0; attempt < 2; attempt += 1) waits.push((await register()).wait);
      await service?.stop('SIGKILL');
      await start();
    }
    expect(waits).toEqual(['30', '60', '120', '240', '480', '960']);
    expect(await run<Tripwire[]>(data, 'tripwire', 'list')).toMatchObject([{ device: 'sensor-1', attempts: 6, proven: 6 }]);
    const [block] = await run<{ readonly id: string }[]>(data, 'block', 'list');
    expect(await muster(data, ['block', 'delete', block?.id ?? ''])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--readmit'),
    });
    expect(await muster(data, ['block', 'delete', block?.id ?? '', '--readmit'])).toMatchObject({ code: 0 });

    const listed = (await run<MusterEvent[]>(data, 'event', 'list')).toReversed();
    expect(listed.map(({ kind }) => kind)).toEqual(['tripwire', 'readmission']);
    expect(received).toEqual([]);
    await service?.stop('SIGKILL');
    isUp = true;
    await start();
    await expect.poll(() => received.length, { timeout: 30_000, interval: 50 }).toBeGreaterThanOrEqual(2);
    const distinct = [...new Map(received.map((event) => [event.sequence, event])).values()];
    expect(distinct).toEqual(listed);
  });
});
