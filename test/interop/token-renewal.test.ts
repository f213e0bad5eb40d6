import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TransportName } from '../../src/contracts/transport.ts';
import { hubA, openStage, type Stage } from './harness/stage.ts';

let stage: Stage;
let connectionString: string;
beforeAll(async () => {
  stage = await openStage();
  connectionString = stage.hubConnectionString(hubA);
});
afterAll(async () => await stage?.close());

const registry = <T>(method: string, args: readonly unknown[]): Promise<T> =>
  stage.sdks.run<T>('registry', { connectionString, method, args });

async function addDevice(deviceId: string): Promise<string> {
  const created = await registry<{ authentication: { symmetricKey: { primaryKey: string } } }>('create', [{ deviceId }]);
  return created.authentication.symmetricKey.primaryKey;
}

interface Presence {
  readonly connectionState: string;
  readonly connectionStateUpdatedTime: string;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** By the real clock of a genuine client: tokens of seconds, because it takes no other clock. */
const lifeSeconds = 6;

describe.each<TransportName>(['amqp', 'amqp-ws', 'mqtt', 'mqtt-ws'])('over %s', (transport) => {
  test.concurrent('a device that renews its token goes on past the end of the first two', async () => {
    const deviceId = `renews-${transport}`;
    const sharedAccessKey = await addDevice(deviceId);
    await stage.sdks.run('openWithTokens', {
      connection: deviceId,
      transport,
      hub: hubA,
      deviceId,
      sharedAccessKey,
      lifeSeconds,
      marginSeconds: 3,
    });
    await stage.sdks.run('twin', { connection: deviceId });
    const before = await registry<Presence>('get', [deviceId]);
    expect(before.connectionState).toBe('Connected');
    for (let second = 0; second < 2 * lifeSeconds + 1; second += 1) {
      await stage.sdks.run('send', { connection: deviceId, text: String(second) });
      await pause(1000);
    }
    const { connectionState, connectionStateUpdatedTime } = await registry<Presence>('get', [deviceId]);
    expect(connectionState).toBe('Connected');
    // Over AMQP the token is put on the live connection; over MQTT the SDK connects anew with it.
    if (transport.startsWith('amqp')) expect(connectionStateUpdatedTime).toBe(before.connectionStateUpdatedTime);
    const { disconnects } = await stage.sdks.run<{ disconnects: unknown[] }>('observed', { connection: deviceId });
    expect(disconnects).toEqual([]);
    await stage.sdks.run('close', { connection: deviceId });
  });

  test.concurrent('a device that does not is put out when its token ends, and not before', async () => {
    const deviceId = `stops-${transport}`;
    const sharedAccessKey = await addDevice(deviceId);
    const openedAt = Date.now();
    await stage.sdks.run('openWithTokens', { connection: deviceId, transport, hub: hubA, deviceId, sharedAccessKey, lifeSeconds });
    await stage.sdks.run('send', { connection: deviceId, text: 'in time' });
    const observed = (): Promise<{ disconnects: { at: number }[] }> => stage.sdks.run('observed', { connection: deviceId });
    while ((await observed()).disconnects.length === 0 && Date.now() < openedAt + 30_000) await pause(100);
    const { disconnects } = await observed();
    expect(disconnects).toHaveLength(1);
    const after = (disconnects[0]?.at ?? 0) - openedAt;
    expect(after).toBeGreaterThan((lifeSeconds - 1) * 1000 - 200);
    expect(after).toBeLessThan((lifeSeconds + 10) * 1000);
    expect((await registry<Presence>('get', [deviceId])).connectionState).toBe('Disconnected');
  });
});
