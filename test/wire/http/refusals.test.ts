import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { limits } from '../../../src/contracts/limits.ts';
import { instant, seconds } from '../../../src/kernel/clock.ts';
import { rawPeer, type RawPeer } from './loopback.ts';
import { apiToken, hubHost, leafOf, openService, type TestService } from './service.ts';

let service: TestService;
beforeAll(async () => {
  service = await openService();
});
afterAll(() => service.close());

const stranger = leafOf('sensor-9');
const register = (id = 'sensor-9') =>
  service.device({
    method: 'PUT',
    path: `/${service.idScope}/registrations/${id}/register?api-version=2021-06-01`,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify({ registrationId: id }),
    certificate: stranger,
  });
const connect = (id = 'nobody') =>
  service.device({
    method: 'POST',
    path: `/devices/${id}/messages/events?api-version=2021-04-12`,
    headers: { host: hubHost },
    body: 'hello',
    certificate: stranger,
  });
const list = async (query = '') => (await service.muster({ path: `/api/v1/refusals${query}` })).json;

const open: RawPeer[] = [];
async function follow(query = '', more = ''): Promise<RawPeer> {
  const head = `GET /api/v1/refusals/stream${query} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${apiToken}\r\n${more}\r\n`;
  const peer = await rawPeer(service.api.port, head);
  open.push(peer);
  await peer.until((text) => text.includes(': open\n\n'));
  return peer;
}
afterAll(() => open.forEach(({ socket }) => socket.destroy()));
const eventsOf = (text: string): any[] => [...text.matchAll(/^data: (.*)$/gmu)].map(([, data]) => JSON.parse(data ?? ''));
const countOf = (text: string): number => eventsOf(text).length;

describe('refusals', () => {
  test('of both sides are listed with their tracking ids, newest first', async () => {
    const first = await register();
    expect(first.status).toBe(401);
    const second = await connect();
    expect(second.status).toBe(401);
    const { items } = await list();
    expect(items).toMatchObject([
      {
        side: 'hub',
        place: 'hub-a',
        deviceId: 'nobody',
        transport: 'https',
        address: '127.0.0.1',
        error: 'DeviceNotFound',
        reason: 'unknown-device',
        sentence: 'The hub hub-a has no identity of this id.',
        trackingId: second.headers['x-ms-request-id'],
      },
      {
        side: 'provisioning',
        place: 'dps-a',
        deviceId: 'sensor-9',
        transport: 'https',
        address: '127.0.0.1',
        error: 'DpsUnauthorized',
        trackingId: first.json.trackingId,
      },
    ]);
    for (const { trackingId } of items) {
      const explained = await service.muster({ method: 'POST', path: '/api/v1/explain', body: JSON.stringify({ subject: trackingId }) });
      expect(explained.json.kept).toMatchObject({ trackingId });
    }
  });

  test('are filtered and paged', async () => {
    expect((await list('?side=hub')).items).toHaveLength(1);
    expect((await list('?device=SENSOR-9')).items).toHaveLength(1);
    expect((await list('?transport=mqtt')).items).toHaveLength(0);
    expect((await list(`?since=${encodeURIComponent(new Date(service.clock.now() + 1).toISOString())}`)).items).toHaveLength(0);
    const page = await list('?top=1');
    expect(page.items).toHaveLength(1);
    expect((await list(`?top=1&after=${page.next}`)).items).toMatchObject([{ side: 'provisioning' }]);
    for (const bad of ['?side=both', '?transport=smoke', '?after=x', '?top=0']) {
      expect((await service.muster({ path: `/api/v1/refusals${bad}` })).status).toBe(400);
    }
  });
});

describe('the stream of refusals', () => {
  test('brings new ones as they happen, and nothing of before', async () => {
    const peer = await follow();
    await register();
    await connect();
    const text = await peer.until((received) => countOf(received) === 2);
    expect(eventsOf(text)).toMatchObject([
      { side: 'provisioning', deviceId: 'sensor-9' },
      { side: 'hub', deviceId: 'nobody' },
    ]);
    for (const { sequence } of eventsOf(text)) expect(text).toContain(`id: ${sequence}\n`);
  });

  test('is taken up again behind the last event, and misses none', async () => {
    const first = await follow();
    await register();
    const { sequence } = eventsOf(await first.until((text) => countOf(text) === 1))[0];
    first.socket.destroy();
    await register();
    await connect();
    const again = await follow('', `Last-Event-ID: ${sequence}\r\n`);
    const events = eventsOf(await again.until((text) => countOf(text) === 2));
    expect(events.map((event) => event.sequence)).toEqual([sequence + 1, sequence + 2]);
  });

  test('takes the filters of the list', async () => {
    const peer = await follow('?device=NOBODY&side=hub&transport=https');
    await register();
    await connect('somebody');
    await connect();
    expect(eventsOf(await peer.until((text) => countOf(text) >= 1))).toMatchObject([{ deviceId: 'nobody' }]);
  });

  test('says that it is alive', async () => {
    const peer = await follow();
    service.clock.advance(seconds(limits.httpHeartbeatSeconds));
    await peer.until((text) => text.includes(': still here\n\n'));
  });

  test('serves many followers, of whom one that leaves takes nothing from the others', async () => {
    const peers = await Promise.all(Array.from({ length: 5 }, () => follow('?device=many')));
    peers[2]?.socket.destroy();
    await register('many');
    for (const [at, peer] of peers.entries()) if (at !== 2) await peer.until((text) => countOf(text) === 1);
  });

  test('tells a follower that was away for too long, and ends', async () => {
    const { sequence } = (await list('?top=1')).items[0];
    const flood = limits.refusalsBehind + 1;
    await service.store.write(async ({ refusals }) => {
      for (let at = 0; at < flood; at += 1) await refusals.append(sample);
    });
    const peer = await rawPeer(
      service.api.port,
      `GET /api/v1/refusals/stream?after=${sequence} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${apiToken}\r\n\r\n`,
    );
    open.push(peer);
    const text = await peer.until((received) => received.includes('fell-behind') && received.endsWith('0\r\n\r\n'));
    expect(text).toContain('event: fell-behind\n');
    expect(eventsOf(text)).toEqual([{ from: sequence, to: sequence + flood }]);
    expect(text).toContain(`id: ${sequence + flood}\n`);
  });

  test('tells it likewise when what lies between was forgotten', async () => {
    const { sequence } = (await list('?top=1')).items[0];
    await service.store.write(async ({ refusals }) => {
      for (let at = 0; at < 5; at += 1) await refusals.append(sample);
      await refusals.prune({ before: instant(0), keep: 2 });
    });
    const peer = await follow(`?after=${sequence}`);
    expect(eventsOf(await peer.until((text) => text.includes('fell-behind')))).toEqual([{ from: sequence, to: sequence + 5 }]);
  });
});

const sample = {
  at: instant(1_700_000_000_000),
  side: 'hub',
  place: 'hub-a',
  deviceId: 'flood',
  transport: 'mqtt',
  address: '192.0.2.1',
  trackingId: 't',
  error: 'DeviceNotFound',
  reason: 'unknown-device',
  sentence: 'x',
} as const;
