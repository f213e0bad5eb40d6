import { expect, test } from 'vitest';
import type { DeviceGrant, DeviceMessages, DevicePlane } from '../../../src/hub/service.ts';
import type { AmqpConnection, AmqpLink } from '../../../src/transports/amqp/engine/binding.ts';
import { createAmqpErrors } from '../../../src/transports/amqp/errors.ts';
import { DeviceSession } from '../../../src/transports/amqp/hub/device-session.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';

test('refused/a link of a session that was cut before its first link; the next attempt is judged anew', async () => {
  const happened: string[] = [];
  const devicePlane = { openSession: async () => () => void happened.push('left') } as unknown as DevicePlane;
  const connection = { peer: { transport: 'amqp', remoteAddress: '::1' }, flush: async () => {} } as unknown as AmqpConnection;
  const deps = { clock: new FakeClock(), ids: new FakeIds(), log: new RecordingLog() };
  const errors = createAmqpErrors(deps);
  const deviceMessages = {} as DeviceMessages;
  const session = await DeviceSession.open(
    // Another device shares the connection, so that the cut does not end it.
    { ...deps, devicePlane, deviceMessages, errors, connection, isAlone: () => false, onEnd: () => void happened.push('forgotten') },
    { hub: 'hub-a', deviceId: 'd1' } as DeviceGrant,
  );
  await session.cut('device-disabled');
  const link = { name: 's', peerIs: 'sender', properties: new Map() } as unknown as AmqpLink;
  await expect(session.attach(link, 'events')).rejects.toMatchObject({ error: 'DeviceDisabled' });
  expect(happened).toEqual(['left', 'forgotten']);
});
