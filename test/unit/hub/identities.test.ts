import { beforeEach, describe, expect, test } from 'vitest';
import { FakeSession, settle } from '../../fixtures/fake-session.ts';
import { absent, any, type HubWorld, matching, openHubWorld, refusal } from '../../fixtures/hub-world.ts';

let world: HubWorld;

beforeEach(async () => {
  world = await openHubWorld();
  return () => world.close();
});

const get = (deviceId = 'd1') => world.hub.registry.get('hub', deviceId);
const remove = (precondition = absent, deviceId = 'd1') => world.hub.registry.delete('hub', deviceId, precondition);

describe('create', () => {
  test('an id alone makes an enabled device with two keys, its members in the order of the real service', async () => {
    const created = await world.create('d1');
    expect(Object.keys(created)).toEqual([
      'deviceId',
      'generationId',
      'etag',
      'connectionState',
      'status',
      'statusReason',
      'connectionStateUpdatedTime',
      'statusUpdatedTime',
      'lastActivityTime',
      'cloudToDeviceMessageCount',
      'authentication',
      'capabilities',
    ]);
    expect(created).toMatchObject({
      deviceId: 'd1',
      connectionState: 'Disconnected',
      status: 'enabled',
      statusReason: null,
      connectionStateUpdatedTime: '0001-01-01T00:00:00',
      statusUpdatedTime: '0001-01-01T00:00:00',
      lastActivityTime: '0001-01-01T00:00:00',
      cloudToDeviceMessageCount: 0,
      authentication: { type: 'sas', x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null } },
      capabilities: { iotEdge: false },
    });
    expect(Buffer.from(created.authentication.symmetricKey.primaryKey ?? '', 'base64')).toHaveLength(32);
    expect(Buffer.from(created.etag, 'base64').toString()).toMatch(/^\d{9}$/u);
    expect(created.generationId).toMatch(/^\d{18}$/u);
    expect(await get()).toEqual(created);
  });

  test('makes the twin with it', async () => {
    await world.create('d1');
    expect(await world.hub.twins.get('hub', 'd1')).toMatchObject({ deviceId: 'd1', etag: 'AAAAAAAAAAE=', version: 2 });
  });

  test('created as disabled is disabled', async () => {
    expect(await world.create('d1', { status: 'disabled', statusReason: 'lost' })).toMatchObject({
      status: 'disabled',
      statusReason: 'lost',
    });
  });

  test('twice is a conflict, and the first stays', async () => {
    const created = await world.create('d1');
    await expect(world.create('d1', { status: 'disabled' })).rejects.toMatchObject(
      refusal('DeviceAlreadyExists', "'d1' is already registered"),
    );
    expect(await get()).toEqual(created);
  });

  test('ids differ by case', async () => {
    await world.create('d1');
    await world.create('D1');
    expect((await world.hub.registry.list('hub', { limit: 10 })).items.map(({ deviceId }) => deviceId).toSorted()).toEqual(['D1', 'd1']);
  });

  test.each(["a-:.+%_#*?!(),=@;$'Z9", 'x'.repeat(128)])('%s is an id', async (deviceId) => {
    expect(await world.create(deviceId)).toMatchObject({ deviceId });
  });

  test.each(['', 'a b', 'a/b', 'ä', 'x'.repeat(129)])('%j is no id', async (deviceId) => {
    await expect(world.create(deviceId)).rejects.toMatchObject(refusal('ArgumentInvalid', 'The device id'));
  });

  test.each([
    [{ deviceId: 'd2' }, 'deviceId'],
    [{ status: 'paused' }, 'status'],
    [{ statusReason: 'x'.repeat(129) }, 'statusReason'],
    [{ authentication: { type: 'tpm' } }, 'authentication.type'],
    [{ authentication: { symmetricKey: { primaryKey: 7 } } }, 'authentication.symmetricKey.primaryKey'],
    [{ authentication: { type: 'selfSigned' } }, 'authentication.x509Thumbprint.primaryThumbprint'],
    [{ capabilities: { iotEdge: 'yes' } }, 'capabilities.iotEdge'],
  ])('%j is refused by the name of its field', async (body, field) => {
    await expect(world.create('d1', body)).rejects.toMatchObject(refusal('ArgumentInvalid', `field ${field}`));
    await expect(get()).rejects.toMatchObject(refusal('DeviceNotFound'));
  });

  test.each([null, [], 'text', 1])('%j is no body', async (body) => {
    await expect(world.hub.registry.put('hub', 'd1', { body, precondition: absent })).rejects.toMatchObject(refusal('ArgumentInvalid'));
  });

  test('a hub that does not exist is said so', async () => {
    const put = world.hub.registry.put('nowhere', 'd1', { body: {}, precondition: absent });
    await expect(put).rejects.toMatchObject(refusal('IotHubNotFound', "'nowhere'"));
  });

  test('the name of the hub has no case', async () => {
    await world.hub.registry.put('HUB', 'd1', { body: {}, precondition: absent });
    expect(await get()).toMatchObject({ deviceId: 'd1' });
  });
});

describe('update', () => {
  test('with the etag changes the status, its time and the etag by one', async () => {
    const created = await world.create('d1');
    world.clock.advance(1000);
    const updated = await world.hub.registry.put('hub', 'd1', {
      body: { ...created, status: 'disabled', statusReason: 'stolen', authentication: { ...created.authentication } },
      precondition: matching(created.etag),
    });
    expect(updated).toEqual({
      ...created,
      status: 'disabled',
      statusReason: 'stolen',
      statusUpdatedTime: '2026-06-15T12:00:01.0000000Z',
      etag: Buffer.from(String(Number(Buffer.from(created.etag, 'base64').toString()) + 1)).toString('base64'),
    });
    expect(await get()).toEqual(updated);
  });

  test('with a stale etag is refused and changes nothing', async () => {
    const created = await world.create('d1');
    const updated = await world.update('d1', { statusReason: 'first' });
    const put = world.hub.registry.put('hub', 'd1', { body: { status: 'disabled' }, precondition: matching(created.etag) });
    await expect(put).rejects.toMatchObject(refusal('PreconditionFailed', updated.etag));
    expect(await get()).toEqual(updated);
  });

  test.each([any, matching('MTIz')])('of nothing with %j is not found', async (precondition) => {
    await expect(world.hub.registry.put('hub', 'd1', { body: {}, precondition })).rejects.toMatchObject(refusal('DeviceNotFound', "'d1'"));
  });

  test('an absent status does not let a disabled device back in', async () => {
    await world.create('d1', { status: 'disabled' });
    expect(await world.update('d1', {})).toMatchObject({ status: 'disabled' });
  });

  test('the same status again keeps its time', async () => {
    await world.create('d1', { status: 'disabled' });
    expect(await world.update('d1', { status: 'disabled' })).toMatchObject({ statusUpdatedTime: '0001-01-01T00:00:00' });
  });

  test('an absent reason clears it', async () => {
    await world.create('d1', { statusReason: 'lost' });
    expect(await world.update('d1', { status: 'enabled' })).toMatchObject({ statusReason: null });
  });

  test('what a client must not write is passed over', async () => {
    const created = await world.create('d1');
    const updated = await world.update('d1', { generationId: '1', etag: 'x', connectionState: 'Connected', cloudToDeviceMessageCount: 9 });
    expect(updated).toMatchObject({ generationId: created.generationId, connectionState: 'Disconnected', cloudToDeviceMessageCount: 0 });
  });
});

describe('delete', () => {
  test('takes identity and twin; unknown after', async () => {
    await world.create('d1');
    await remove();
    await expect(get()).rejects.toMatchObject(refusal('DeviceNotFound'));
    await expect(world.hub.twins.get('hub', 'd1')).rejects.toMatchObject(refusal('DeviceNotFound'));
    await expect(remove()).rejects.toMatchObject(refusal('DeviceNotFound'));
  });

  test('with a stale etag is refused', async () => {
    const created = await world.create('d1');
    await world.update('d1', {});
    await expect(remove(matching(created.etag))).rejects.toMatchObject(refusal('PreconditionFailed'));
    await remove(matching((await get()).etag));
  });

  test('and created again is another generation with other keys and another etag', async () => {
    const before = await world.create('d1');
    await remove();
    const after = await world.create('d1');
    expect(BigInt(after.generationId)).toBeGreaterThan(BigInt(before.generationId));
    expect(after.etag).not.toBe(before.etag);
    expect(after.authentication).not.toEqual(before.authentication);
  });
});

describe('list and statistics', () => {
  test('pages by id and counts by status, hub by hub', async () => {
    for (const id of ['a', 'b', 'c']) await world.create(id, { status: id === 'b' ? 'disabled' : 'enabled' });
    await world.hub.registry.put('other', 'z', { body: {}, precondition: absent });
    const page = await world.hub.registry.list('hub', { limit: 2 });
    expect(page.items.map(({ deviceId }) => deviceId)).toEqual(['a', 'b']);
    const rest = await world.hub.registry.list('hub', { limit: 2, after: page.next ?? '' });
    expect([rest.items.map(({ deviceId }) => deviceId), rest.next]).toEqual([['c'], undefined]);
    expect(await world.hub.registry.statistics('hub')).toEqual({ totalDeviceCount: 3, enabledDeviceCount: 2, disabledDeviceCount: 1 });
  });
});

describe('live sessions', () => {
  async function connected(deviceId: string, options: { readonly closesAtOnce?: boolean } = {}): Promise<FakeSession> {
    const session = new FakeSession(options);
    await world.hub.devicePlane.openSession(await world.grant(deviceId), session);
    return session;
  }

  test('show in the identity', async () => {
    await world.create('d1');
    await connected('d1');
    const at = '2026-06-15T12:00:00.0000000Z';
    expect(await get()).toMatchObject({ connectionState: 'Connected', connectionStateUpdatedTime: at, lastActivityTime: at });
  });

  test.each([
    ['disabling', 'device-disabled', () => world.update('d1', { status: 'disabled' })],
    ['deleting', 'device-deleted', () => remove()],
    [
      'another key',
      'credential-changed',
      () => world.update('d1', { authentication: { symmetricKey: { primaryKey: Buffer.alloc(32).toString('base64') } } }),
    ],
    ['another type', 'credential-changed', () => world.update('d1', { authentication: { type: 'certificateAuthority' } })],
  ])('%s cuts them with %s, and not those of a neighbour', async (_, reason, act) => {
    await world.create('d1');
    await world.create('d2');
    const session = await connected('d1');
    const neighbour = await connected('d2');
    await act();
    expect(session.cuts).toEqual([reason]);
    expect(neighbour.cuts).toEqual([]);
    expect(world.log.named('device.cut')).toEqual([
      { hub: 'hub', deviceId: 'd1', reason, sessions: 1, elapsedMilliseconds: 0, outcome: 'closed' },
    ]);
  });

  test('stay when nothing about the credentials or the status changes', async () => {
    const created = await world.create('d1');
    const session = await connected('d1');
    await world.update('d1', { ...created, statusReason: 'checked' });
    expect(session.cuts).toEqual([]);
    expect(world.log.named('device.cut')).toEqual([]);
  });

  test('the answer comes when they have closed, and the time is measured', async () => {
    await world.create('d1');
    const session = await connected('d1', { closesAtOnce: false });
    let answered = false;
    const disabling = world.update('d1', { status: 'disabled' }).finally(() => (answered = true));
    while (session.cuts.length === 0) await settle();
    world.clock.advance(120);
    await settle();
    expect(answered).toBe(false);
    session.close();
    await disabling;
    expect(world.log.named('device.cut')).toMatchObject([{ sessions: 1, elapsedMilliseconds: 120 }]);
    expect(world.clock.pending).toBe(1); // the token's own end, nothing else
  });

  test('one that does not close holds the answer up for five seconds, no longer', async () => {
    await world.create('d1');
    const session = await connected('d1', { closesAtOnce: false });
    const removing = remove();
    while (session.cuts.length === 0) await settle();
    world.clock.advance(5000);
    await removing;
    expect(world.log.named('device.cut.slow')).toEqual([
      { hub: 'hub', deviceId: 'd1', reason: 'device-deleted', waitedMilliseconds: 5000 },
    ]);
    session.close();
    await settle();
    expect(world.log.named('device.cut')).toMatchObject([{ sessions: 1, elapsedMilliseconds: 5000, outcome: 'closed' }]);
  });

  test('one that fails to close is logged, and the writer gets an answer', async () => {
    await world.create('d1');
    const session = await connected('d1', { closesAtOnce: false });
    const removing = remove();
    while (session.cuts.length === 0) await settle();
    session.fail(new Error('stuck'));
    await removing;
    expect(world.log.named('device.cut')).toMatchObject([{ reason: 'device-deleted', outcome: 'failed' }]);
  });
});
