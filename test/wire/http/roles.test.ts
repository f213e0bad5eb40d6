import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type OperatorRole, operatorRoles } from '../../../src/contracts/operators.ts';
import { minutes, seconds } from '../../../src/kernel/clock.ts';
import { operations } from '../../../src/transports/http/muster/openapi/operations.ts';
import { ask } from './loopback.ts';
import { apiToken, openService, type TestService } from './service.ts';

let service: TestService;
beforeEach(async () => (service = await openService()));
afterEach(() => service.close());

const withToken = (token: string, path = '/api/v1/operator', method = 'GET') =>
  ask(service.api.port, { method, path, headers: { authorization: `Bearer ${token}` } });

async function tokenOf(role: OperatorRole, more: object = {}): Promise<string> {
  const body = JSON.stringify({ name: `${role} of the house`, role, ...more });
  const made = await service.muster({ method: 'POST', path: '/api/v1/tokens', body });
  expect(made.status).toBe(200);
  return made.json.token as string;
}

const wrong = `muster_${'0'.repeat(12)}_${'A'.repeat(43)}`;

describe('roles', () => {
  test('every route has an entry in the table, and every entry a route', () => {
    const routes = service.routes.map(({ method, path }) => `${method} ${path}`);
    expect(routes.length).toBeGreaterThan(40);
    expect(routes.toSorted()).toEqual(Object.keys(operations).toSorted());
  });

  test('every route lets in the roles that are enough, and nobody else', async () => {
    const tokens = { reader: await tokenOf('reader'), operator: await tokenOf('operator'), admin: await tokenOf('admin') };
    for (const [route, { role, answer }] of Object.entries(operations)) {
      const [method = '', pattern = ''] = route.split(' ');
      // Nothing of these names is there, so that whoever is let in finds nothing, or a body that is missing.
      const path = pattern.replaceAll(/:(\w+)/gu, 'nothing');
      if (role === 'anyone') {
        expect([route, (await ask(service.api.port, { method, path })).status]).toEqual([route, 200]);
        continue;
      }
      expect([route, 'nobody', (await ask(service.api.port, { method, path })).status]).toEqual([route, 'nobody', 401]);
      for (const own of operatorRoles) {
        const isEnough = operatorRoles.indexOf(own) >= operatorRoles.indexOf(role);
        // A stream that begins does not end.
        if (isEnough && answer.stream === true && !pattern.includes(':')) continue;
        const { status } = await withToken(tokens[own], path, method);
        if (isEnough) expect([route, own, [401, 403, 429].includes(status)]).toEqual([route, own, false]);
        else expect([route, own, status]).toEqual([route, own, 403]);
      }
    }
  });

  test('a refusal for the role says which one is needed', async () => {
    const answer = await withToken(await tokenOf('reader'), '/api/v1/tokens');
    expect(answer.json.error).toMatchObject({
      code: 'Forbidden',
      message: 'This needs the role admin; the token has the role reader.',
    });
  });
});

describe('tokens', () => {
  test('name their owner, and are shown once', async () => {
    const token = await tokenOf('operator');
    expect((await withToken(token)).json).toEqual({ name: 'operator of the house', role: 'operator' });
    expect((await withToken(apiToken)).json).toEqual({ name: 'owner of the data folder', role: 'admin' });
    const listed = await service.muster({ path: '/api/v1/tokens' });
    expect(listed.json).toMatchObject([
      { name: 'operator of the house', role: 'operator', state: 'active', createdBy: 'owner of the data folder' },
    ]);
    const secret = token.split('_')[2] ?? '';
    expect(listed.text).not.toContain(secret);
    expect(JSON.stringify(await service.store.read.tokens.list())).not.toContain(secret);
    expect(JSON.stringify((await service.audit.list({ order: 'newest-first', limit: 100 })).items)).not.toContain(secret);
    expect(JSON.stringify(service.log.events)).not.toContain(secret);
  });

  test('are good for nothing once revoked, by name or id, from the next request on', async () => {
    const token = await tokenOf('admin');
    expect((await withToken(token)).status).toBe(200);
    const path = `/api/v1/tokens/${encodeURIComponent('admin of the house')}`;
    expect((await service.muster({ method: 'DELETE', path })).json).toMatchObject({ state: 'revoked' });
    expect((await withToken(token)).status).toBe(401);
    expect((await service.muster({ method: 'DELETE', path })).status).toBe(404);
    expect(await tokenOf('admin')).not.toBe(token);
  });

  test('end when they were to end', async () => {
    const expiresAt = new Date(service.clock.now() + minutes(10)).toISOString();
    const token = await tokenOf('reader', { expiresAt });
    expect((await withToken(token)).status).toBe(200);
    service.clock.advance(minutes(10));
    expect((await withToken(token)).status).toBe(401);
    expect((await service.muster({ path: '/api/v1/tokens' })).json).toMatchObject([{ state: 'expired', expiresAt }]);
  });

  test('have one active owner at a time, whose name is a name', async () => {
    await tokenOf('reader');
    const create = (body: object) => service.muster({ method: 'POST', path: '/api/v1/tokens', body: JSON.stringify(body) });
    expect((await create({ name: 'READER of the house', role: 'admin' })).status).toBe(409);
    expect((await create({ name: 'owner of the data folder', role: 'admin' })).status).toBe(400);
    expect((await create({ name: 'a\nb', role: 'admin' })).status).toBe(400);
    expect((await create({ name: 'ada', role: 'emperor' })).status).toBe(400);
    expect((await create({ name: 'ada', role: 'reader', expiresAt: '2001-01-01T00:00:00Z' })).status).toBe(400);
  });

  test.each(['', 'x', apiToken.slice(0, -1), `${apiToken}x`, wrong, wrong.toUpperCase()])('%s is none', async (token) => {
    expect((await withToken(token)).status).toBe(401);
  });
});

describe('whoever guesses', () => {
  const guess = async (times: number) => {
    for (let at = 0; at < times; at += 1) await withToken(wrong);
  };

  test('is let go on five times, and waits longer each time after that', async () => {
    await guess(5);
    const waits: number[] = [];
    for (let at = 0; at < 4; at += 1) {
      const answer = await withToken(wrong);
      expect(answer.status).toBe(429);
      expect(answer.json.error.code).toBe('Throttled');
      waits.push(Number(answer.headers['retry-after']));
      service.clock.advance(seconds(waits.at(-1) ?? 0));
      expect((await withToken(wrong)).status).toBe(401);
    }
    expect(waits).toEqual([1, 2, 4, 8]);
    service.clock.advance(seconds(16));
    await guess(1);
    for (let at = 0; at < 20; at += 1) {
      service.clock.advance(minutes(5));
      await guess(1);
    }
    expect(Number((await withToken(wrong)).headers['retry-after'])).toBe(300);
  });

  test('learns nothing while it waits, not even that a token is right; and is forgotten after a while', async () => {
    await guess(5);
    expect((await withToken(apiToken)).status).toBe(429);
    service.clock.advance(seconds(1));
    expect((await withToken(apiToken)).status).toBe(200);
    service.clock.advance(minutes(15));
    await guess(4);
    expect((await withToken(apiToken)).status).toBe(200);
  });

  test('is not whoever brings no token', async () => {
    for (let at = 0; at < 10; at += 1) expect((await ask(service.api.port, { path: '/api/v1/dps' })).status).toBe(401);
    expect((await withToken(apiToken)).status).toBe(200);
  });

  test('is told of in the log each time, and in the audit trail once in a window', async () => {
    await guess(4);
    expect(service.log.named('operator.refused')).toHaveLength(4);
    const entries = async () =>
      (await service.audit.list({ order: 'newest-first', limit: 10, filter: { action: 'sign-in.refused' } })).items;
    expect(await entries()).toMatchObject([
      {
        actor: { kind: 'stranger', name: '127.0.0.1', origin: { transport: 'https', address: '127.0.0.1' } },
        after: { failures: 1, reason: 'unknown' },
      },
    ]);
    service.clock.advance(minutes(15));
    await guess(1);
    expect(await entries()).toHaveLength(2);
  });
});
