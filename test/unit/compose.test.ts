import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { type Muster, openMuster } from '../../src/compose.ts';
import { loadConfig } from '../../src/config/config.ts';
import { hours, instant } from '../../src/kernel/clock.ts';
import { randomIds } from '../../src/runtime/random-ids.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { RecordingLog } from '../fixtures/recording-log.ts';

let data: string;
const running: Muster[] = [];
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'muster-compose-'));
});
afterEach(async () => {
  for (const muster of running.splice(0)) await muster.close();
  rmSync(data, { recursive: true, force: true });
});

async function open(clock = new FakeClock(instant(Date.now())), log = new RecordingLog()): Promise<Muster> {
  const ports = { https: 0, mqtt: 0, amqp: 0, api: 0 };
  const config = loadConfig({ environment: {}, flags: { data, ports, bind: ['127.0.0.1'] } });
  const muster = await openMuster(config, { clock, ids: randomIds, log, pid: process.pid });
  running.push(muster);
  return muster;
}

test('an empty folder gets one provisioning service and one hub, and keeps names and secrets from then on', async () => {
  const first = await open();
  const before = await first.endpoints();
  expect(before).toMatchObject({ dps: [{ name: 'dps-local' }], hubs: [{ name: 'hub-local' }] });
  const token = readFileSync(join(data, 'api-token'), 'utf8');
  const ca = readFileSync(before.ca, 'utf8');
  await running.pop()?.close();
  const second = await open();
  const after = await second.endpoints();
  expect(second.notices).toEqual([]);
  expect(after.dps[0]?.idScope).toBe(before.dps[0]?.idScope);
  const keyOf = (text: string | undefined) => text?.split('SharedAccessKey=')[1];
  expect(keyOf(after.hubs[0]?.connectionString)).toBe(keyOf(before.hubs[0]?.connectionString));
  expect(readFileSync(join(data, 'api-token'), 'utf8')).toBe(token);
  expect(readFileSync(after.ca, 'utf8')).toBe(ca);
});

test('closing ends every timer and gives the folder up', async () => {
  const clock = new FakeClock(instant(Date.now()));
  const log = new RecordingLog();
  await open(clock, log);
  await running.pop()?.close();
  expect(clock.pending).toBe(0);
  expect(log.events.filter(({ level }) => level === 'error')).toEqual([]);
  for (const file of ['endpoints.json', 'muster.pid', 'muster.sqlite-wal']) expect(existsSync(join(data, file))).toBe(false);
});

test('a service that runs for a year renews its certificate under way, for the doors that are open', async () => {
  const clock = new FakeClock(instant(Date.now()));
  const log = new RecordingLog();
  const muster = await open(clock, log);
  const { ca, ports } = await muster.endpoints();
  const before = await serverCertificateOf(ports.https ?? 0, ca);
  clock.advance(hours(24 * 306));
  await vi.waitFor(async () => expect(await serverCertificateOf(ports.https ?? 0, ca)).not.toBe(before), 60_000);
  expect(log.named('certificate.renew-failed')).toEqual([]);
});

/** SHA-256 of what the door shows. */
function serverCertificateOf(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // The clock of the service runs ahead of ours, by which a renewed certificate is not valid yet.
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: readFileSync(ca), rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test('a store that cannot be opened is told in a sentence, and the folder is free again', async () => {
  writeFileSync(join(data, 'muster.sqlite'), 'This is a letter, not a database. '.repeat(100));
  await expect(open()).rejects.toMatchObject({
    name: 'ServiceError',
    message: `${join(data, 'muster.sqlite')} is not a database. Move it away, or choose another data folder.`,
  });
  rmSync(join(data, 'muster.sqlite'));
  await open();
});

test('a second service on the same folder is refused', async () => {
  await open();
  await expect(open()).rejects.toMatchObject({ error: 'ServerBusy' });
});
