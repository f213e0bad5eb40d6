import mqttPacket from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { seconds } from '../../../src/kernel/clock.ts';
import { startHub } from './hub-service.ts';
import { publishPacket, settle, type TestClient } from './test-client.ts';

/** What an Azure hub does that a broker would do otherwise (reference 3.1 to 3.5), packet by packet. */

const events = 'devices/dev/messages/events/';
const devicebound = 'devices/dev/messages/devicebound/#';
const endOf = async (client: TestClient): Promise<unknown> => {
  expect(await client.next()).toBeUndefined();
  await settle();
  return undefined;
};

describe('QoS 2', () => {
  test('a PUBLISH closes the connection, and is not stored; those before it are', async () => {
    const service = await startHub();
    const { client } = await service.enter('dev');
    client.send(publishPacket(events, 'kept', 1), {
      cmd: 'publish',
      topic: events,
      payload: 'refused',
      qos: 2,
      messageId: 2,
      dup: false,
      retain: false,
    });
    expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 });
    await endOf(client);
    expect((await service.telemetry()).map((row) => Buffer.from(row.body).toString())).toEqual(['kept']);
    expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'violation', detail: 'PUBLISH with QoS 2' }]);
  });

  test('a SUBSCRIBE is granted QoS 1, and served at that', async () => {
    const service = await startHub();
    const { client } = await service.enter('dev');
    expect(await client.subscribe(devicebound, 2)).toMatchObject({ cmd: 'suback', granted: [1] });
    await service.sendTo('dev', 'a');
    expect(await client.next()).toMatchObject({ cmd: 'publish', qos: 1 });
  });

  test('its other packets, which nobody asked for, close the connection', async () => {
    for (const cmd of ['pubrec', 'pubrel', 'pubcomp'] as const) {
      const service = await startHub();
      const { client } = await service.enter('dev');
      client.send({ cmd, messageId: 1 });
      await endOf(client);
      expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'violation' }]);
    }
  });

  test('a will closes the connection before CONNACK', async () => {
    const service = await startHub();
    const will = { topic: events, payload: Buffer.from('gone'), qos: 2 as const, retain: false };
    await expect(service.enter('dev', { fields: { will } })).rejects.toThrow('not let in: undefined');
    expect(await service.telemetry()).toEqual([]);
  });
});

describe('topics', () => {
  test.each([
    'anything/else',
    'devices/dev',
    'devices/dev/messages',
    'devices/dev/messages/event',
    'devices/dev/messages/eventsx',
    'Devices/dev/messages/events/',
    'devices/DEV/messages/events/',
    'devices/dev/messages/devicebound/',
    'devices/dev/modules/m1/messages/events/',
    'devices/dev/files/',
    '$iothub/twin/GET/',
    '$iothub/twin/get/?$rid=1',
    '$iothub/twin/res/200/?$rid=1',
    '$iothub/twin/PATCH/properties/desired/?$rid=1',
    '$iothub/methods/POST/reboot/?$rid=1',
    '$iothub/methods/res/ok/?$rid=1',
    '$iothub/telemetry',
    '$SYS/broker',
    '/',
  ])('publishing to %s closes the connection, without a PUBACK and without a trace', async (topic) => {
    const service = await startHub();
    const { client } = await service.enter('dev');
    client.publish(topic, '{}', 7);
    await endOf(client);
    expect(await service.telemetry()).toEqual([]);
    expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'rejected' }]);
    expect(service.log.named('mqtt.failure')).toEqual([]);
  });

  test.each([
    'anything/else',
    '#',
    '+/+/+/+/#',
    '$iothub/#',
    '$iothub/twin/#',
    '$iothub/methods/POST/+',
    'devices/+/messages/devicebound/#',
    'devices/other/messages/devicebound/#',
    'devices/dev/messages/events/#',
    'devices/dev/messages/devicebound',
    '$SYS/#',
    '$share/g/devices/dev/messages/devicebound/#',
  ])('subscribing to %s is refused with 0x80, next to one that is granted, and the connection stays', async (filter) => {
    const service = await startHub();
    const { client } = await service.enter('dev');
    client.send({
      cmd: 'subscribe',
      messageId: 3,
      subscriptions: [
        { topic: filter, qos: 1 },
        { topic: '$iothub/twin/res/#', qos: 0 },
      ],
    });
    expect(await client.next()).toMatchObject({ cmd: 'suback', messageId: 3, granted: [128, 0] });
    await service.sendTo('dev', 'not for it');
    client.publish('$iothub/twin/GET/?$rid=1', '', 4);
    expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 4 });
    expect(await client.next()).toMatchObject({ cmd: 'publish', topic: '$iothub/twin/res/200/?$rid=1' });
    expect(client.received.filter((packet) => packet.cmd === 'publish')).toHaveLength(1);
  });

  test('unsubscribing from what was never subscribed to is acknowledged', async () => {
    const service = await startHub();
    const { client } = await service.enter('dev');
    client.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: ['anything/else', devicebound] });
    expect(await client.next()).toMatchObject({ cmd: 'unsuback', messageId: 5 });
  });
});

describe('sizes', () => {
  const longest = 65_535;

  test('a topic of 65,535 bytes, the longest there is, carries its properties whole', async () => {
    const service = await startHub();
    const { client } = await service.enter('dev');
    const value = 'v'.repeat(longest - events.length - 'name='.length);
    client.publish(`${events}name=${value}`, 'x', 1);
    expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 });
    expect((await service.telemetry())[0]?.applicationProperties).toEqual({ name: value });
  });

  test('body and properties together have 256 KiB; what declares more closes the connection with its header', async () => {
    const service = await startHub();
    const { client } = await service.enter('dev');
    const topic = `${events}name=${'v'.repeat(60_000)}`;
    client.publish(topic, Buffer.alloc(256 * 1024 - 60_010), 1);
    expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 });
    const whole = mqttPacket.generate(publishPacket(topic, Buffer.alloc(256 * 1024 - 59_700), 2));
    // The header alone.
    client.sendBytes(whole.subarray(0, 5));
    await endOf(client);
    expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'oversized' }]);
  });
});

describe('keep-alive', () => {
  test.each([
    [10, 15],
    [60, 90],
    [1767, 2650.5],
    [2000, 2650.5],
    [0, 2650.5],
  ])('of %d seconds: silence of %d seconds ends it', async (keepalive, silence) => {
    const service = await startHub();
    // The token outlives it.
    const { client } = await service.enter('dev', {
      fields: { keepalive, will: { topic: events, payload: Buffer.from('gone'), qos: 1, retain: false } },
    });
    service.clock.advance(seconds(silence - 1));
    await settle();
    expect(client.isClosed).toBe(false);
    client.send({ cmd: 'pingreq' });
    expect(await client.next()).toMatchObject({ cmd: 'pingresp' });
    await settle();
    service.clock.advance(seconds(silence));
    await client.closed;
    await settle();
    expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'keep-alive' }]);
    expect((await service.hub.registry.get('hub-a', 'dev')).connectionState).toBe('Disconnected');
    expect((await service.telemetry()).map((row) => Buffer.from(row.body).toString())).toEqual(['gone']);
  });
});

describe('messages to a device', () => {
  test('every system property is in the bag by its name there, iothub-ack among them, and nothing of ours', async () => {
    const service = await startHub();
    const expiry = new Date(service.clock.now() + 600_000).toISOString();
    await service.hub.cloudToDevice.send('hub-a', 'dev', {
      body: Buffer.from('x'),
      systemProperties: {
        'message-id': 'm',
        'correlation-id': 'c',
        'user-id': 'u',
        to: '/devices/dev/messages/deviceBound',
        'absolute-expiry-time': expiry,
        'content-type': 'application/json',
        'content-encoding': 'utf-8',
        'iothub-ack': 'negative',
        'iothub-message-schema': 's',
        'iothub-creation-time-utc': '2026-01-01T00:00:00Z',
      },
      applicationProperties: { plain: 'p', empty: '' },
    });
    const { client } = await service.enter('dev');
    await client.subscribe(devicebound);
    const packet = await client.next();
    if (packet?.cmd !== 'publish') throw new Error('no message');
    const bag = packet.topic.slice('devices/dev/messages/devicebound/'.length).split('&');
    expect(bag.toSorted()).toEqual(
      [
        '%24.mid=m',
        '%24.cid=c',
        '%24.uid=u',
        '%24.to=%2Fdevices%2Fdev%2Fmessages%2FdeviceBound',
        `%24.exp=${encodeURIComponent(expiry)}`,
        '%24.ct=application%2Fjson',
        '%24.ce=utf-8',
        'iothub-ack=negative',
        '%24.schema=s',
        '%24.ctime=2026-01-01T00%3A00%3A00Z',
        'plain=p',
        'empty=',
      ].toSorted(),
    );
    expect([packet.retain, packet.dup]).toEqual([false, false]);
  });

  test.each(['none', 'positive', 'negative', 'full', 'FULL'])('iothub-ack=%s passes as it was sent', async (ack) => {
    const service = await startHub();
    await service.sendTo('dev', 'm', { 'iothub-ack': ack });
    const { client } = await service.enter('dev');
    await client.subscribe(devicebound);
    const packet = await client.next();
    expect(packet?.cmd === 'publish' && packet.topic.split('&')).toContain(`iothub-ack=${ack}`);
  });
});

describe('retain and will', () => {
  test('a retained message is not retained, but says that it wanted to be; nobody is sent it', async () => {
    const service = await startHub();
    const { client } = await service.enter('dev');
    await client.subscribe(devicebound);
    client.send({ cmd: 'publish', topic: `${events}a=1`, payload: 'x', qos: 1, messageId: 1, dup: false, retain: true });
    expect(await client.next()).toMatchObject({ cmd: 'puback' });
    expect((await service.telemetry())[0]?.applicationProperties).toEqual({ a: '1', 'mqtt-retain': 'true' });
    const again = await service.enter('dev', { clean: true });
    await again.client.subscribe(devicebound);
    await settle();
    expect(again.client.received.map(({ cmd }) => cmd)).toEqual(['connack', 'suback']);
  });

  test('a retained will is a message of its device, with its bag, as Will and mqtt-retain', async () => {
    const service = await startHub();
    const will = { topic: `${events}%24.mid=w1&%24.ct=text%2Fplain&room=7`, payload: Buffer.from('gone'), qos: 1 as const, retain: true };
    const { client } = await service.enter('dev', { fields: { will } });
    client.stream.destroy();
    await settle();
    expect(await service.telemetry()).toMatchObject([
      {
        deviceId: 'dev',
        systemProperties: { 'message-id': 'w1', 'content-type': 'text/plain' },
        applicationProperties: { room: '7', 'mqtt-retain': 'true', 'iothub-MessageType': 'Will' },
      },
    ]);
  });

  test('a violation of the protocol is an abnormal end: the will is sent', async () => {
    const service = await startHub();
    const will = { topic: events, payload: Buffer.from('gone'), qos: 0 as const, retain: false };
    const { client } = await service.enter('dev', { fields: { will } });
    client.publish('anything/else', 'x', 1);
    await endOf(client);
    expect((await service.telemetry()).map((row) => Buffer.from(row.body).toString())).toEqual(['gone']);
  });
});
