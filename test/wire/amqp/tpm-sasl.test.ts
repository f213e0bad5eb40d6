import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createSasToken } from '../../../src/access/sas-token.ts';
import { hours, plus } from '../../../src/kernel/clock.ts';
import { tpmDeviceKeys } from '../../../src/tpm/device-keys.ts';
import { createTpmSasl } from '../../../src/transports/amqp/dps/tpm-sasl.ts';
import { splitBlob } from '../../fixtures/software-tpm.ts';
import { endorsementKeyFields, renderStorageKey, storageRootKeyFields } from '../../fixtures/storage-key.ts';
import { openClient } from './client.ts';
import { RawPeer, rheaMessage, saslHeader, sections, source, target } from './raw-peer.ts';
import { openService, type TestService } from './service.ts';

/** The SASL mechanism TPM, message by message (DPS chapter 1.6.6). The genuine client of it is in the interop suite. */

let service: TestService;
beforeAll(async () => void (service = await openService()));
afterAll(async () => await service.close());

const [endorsementKey, storageRootKey] = [renderStorageKey(endorsementKeyFields()), renderStorageKey(storageRootKeyFields())];
const peer = { transport: 'amqp', remoteAddress: '192.0.2.1' } as const;
const zero = Buffer.alloc(1);
const initial = (idScope = service.idScope, key = endorsementKey, id = 'pump-1'): Buffer =>
  Buffer.concat([zero, Buffer.from(idScope), zero, Buffer.from(id), zero, key]);
const root = Buffer.concat([zero, storageRootKey]);

describe('the exchange', () => {
  test('hands out the sealed key in two segments, and takes the token', async () => {
    const sasl = createTpmSasl({ tpmChallenges: service.provisioning.tpmChallenges, peer });
    const exchange = sasl.exchange();
    expect(await exchange.next(initial())).toEqual(zero);
    const first = (await exchange.next(root)) as Buffer;
    const last = (await exchange.next(zero)) as Buffer;
    // Java takes exactly these two control bytes; a SASL frame holds 512 bytes.
    expect([first[0], last[0]]).toEqual([0x80, 0xc1]);
    expect(Math.max(first.length, last.length)).toBeLessThan(480);
    expect(splitBlob(Buffer.concat([first.subarray(1), last.subarray(1)])).uri).toEqual(Buffer.alloc(2));
    expect(sasl.credentials()).toEqual({});
    expect(await exchange.next(Buffer.concat([zero, Buffer.from('a token')]))).toBe(true);
    expect(sasl.credentials()).toEqual({ sasToken: 'a token', tpm: { endorsementKey, storageRootKey } });
  });

  test.each([
    ['an empty response', [zero]],
    ['no endorsement key', [Buffer.from('\0scope\0pump-1')]],
    ['no control byte', [Buffer.from('scope\0pump-1\0')]],
    ['no registration id', [Buffer.from('\0scope\0\0key')]],
    ['more than anybody has to say', [Buffer.alloc(8192)]],
  ])('ends at an initial response with %s', async (_, responses) => {
    const sasl = createTpmSasl({ tpmChallenges: service.provisioning.tpmChallenges, peer });
    expect(await sasl.exchange().next(responses[0]!)).toBe(false);
    expect(sasl.credentials()).toEqual({});
  });

  test.each([
    ['keys that are none', () => [initial(undefined, Buffer.from('key')), root]],
    ['a storage root key that is none', () => [initial(), zero]],
    ['a registration id that is none', () => [initial(undefined, undefined, 'pump 1'), root]],
    ['an unknown id scope', () => [initial('0ne000BEEF'), root]],
    ['an empty token', () => [initial(), root, zero, zero]],
    ['a control byte that is not zero', () => [initial(), Buffer.concat([Buffer.from([1]), storageRootKey])]],
  ])('ends at %s', async (_, responses) => {
    const sasl = createTpmSasl({ tpmChallenges: service.provisioning.tpmChallenges, peer });
    const exchange = sasl.exchange();
    let last: Buffer | boolean = true;
    for (const response of responses()) last = await exchange.next(response);
    expect(last).toBe(false);
    expect(await exchange.next(zero)).toBe(false);
    expect(sasl.credentials()).toEqual({});
  });
});

test('refused/a client whose exchange fails does not get to OPEN, and its neighbours go on', async () => {
  const answers = [Buffer.from('nonsense')];
  const mechanism = () => ({
    start: (callback: (error: undefined, response: Buffer) => void) => callback(undefined, answers[0]!),
    step: () => {},
  });
  const client = await openClient(service.dial(), { sasl_mechanisms: { TPM: mechanism() }, username: undefined });
  expect(client.connection.is_open()).toBe(false);
  const neighbour = await openClient(service.dial());
  expect(neighbour.connection.is_open()).toBe(true);
  neighbour.connection.close();
});

describe('the initial response, byte by byte as the SDKs build it', () => {
  // C# and C write a zero, the id scope, a zero, the registration id, a zero and the key; nothing follows, and nothing is encoded.
  const scope = () => service.idScope;
  const bytesOf = (id: string): Buffer => Buffer.concat([Buffer.from(`\0${scope()}\0${id}\0`, 'utf8'), endorsementKey]);

  test.each(['pump-1', `p${'u'.repeat(126)}p`])('of C# and C for %s is taken', async (id) => {
    const sasl = createTpmSasl({ tpmChallenges: service.provisioning.tpmChallenges, peer });
    const exchange = sasl.exchange();
    expect(await exchange.next(bytesOf(id))).toEqual(zero);
    const first = (await exchange.next(root)) as Buffer;
    expect(first[0]).toBe(0x80);
    // C answers an interim segment with one zero, and C# with the same.
    expect(((await exchange.next(zero)) as Buffer)[0]).toBe(0xc1);
    expect(await exchange.next(Buffer.concat([zero, Buffer.from('token')]))).toBe(true);
    expect(sasl.credentials().tpm).toEqual({ endorsementKey, storageRootKey });
  });

  test('of the longest id fits into what C sends in one piece', () => {
    // Beyond 470 bytes C splits, and never sends the rest: its next response is the storage root key.
    expect(bytesOf('x'.repeat(128)).length).toBeLessThanOrEqual(470);
  });

  test.each([
    [
      'the first of the pieces into which C splits more than 470 bytes',
      () => Buffer.concat([Buffer.from([0x80]), bytesOf('pump-1').subarray(1)]),
    ],
    ['the key alone, as C sent it before it named the id scope', () => Buffer.concat([zero, endorsementKey])],
  ])('that is %s is refused', async (_, bytes) => {
    const exchange = createTpmSasl({ tpmChallenges: service.provisioning.tpmChallenges, peer }).exchange();
    let last: Buffer | boolean = true;
    for (const response of [bytes(), root]) last = await exchange.next(response);
    expect(last).toBe(false);
  });
});

/**
 * The same with the frames around it, up to a registration: `SaslTpmHandler.cs` of the C# SDK names a host with its init,
 * `prov_sasl_tpm.c` with uAMQP's `saslclientio.c` of the C SDK does not. Node (`sasl_tpm.js`) and Java
 * (`AmqpsProvisioningSaslHandler.java`) send the payloads of the former. All of them send whole TPM2B_PUBLIC structures.
 */
describe('the frames of', () => {
  const scoped = (id: string): string => `${service.idScope}/registrations/${id}`;
  const sized = (bytes: Buffer, [short, long]: readonly [number, number]): Buffer => {
    if (bytes.length < 256) return Buffer.concat([Buffer.from([short, bytes.length]), bytes]);
    const head = Buffer.alloc(5);
    head[0] = long;
    head.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([head, bytes]);
  };
  const symbol = (text: string): Buffer => sized(Buffer.from(text), [0xa3, 0xb3]);
  const binary = (bytes: Buffer): Buffer => sized(bytes, [0xa0, 0xb0]);
  const string = (text: string): Buffer => sized(Buffer.from(text), [0xa1, 0xb1]);
  const saslFrame = (descriptor: number, ...fields: readonly Buffer[]): Buffer => {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(fields.length);
    const items = Buffer.concat([count, ...fields]);
    const size = Buffer.alloc(4);
    size.writeUInt32BE(items.length);
    const body = Buffer.concat([Buffer.from([0x00, 0x53, descriptor, 0xd0]), size, items]);
    const head = Buffer.from([0, 0, 0, 0, 2, 1, 0, 0]);
    head.writeUInt32BE(head.length + body.length);
    return Buffer.concat([head, body]);
  };
  const [initFrame, responseFrame] = [0x41, 0x43];

  const clients = {
    C: { init: (payload: Buffer) => saslFrame(initFrame, symbol('TPM'), binary(payload)), authority: 'amqps://localhost/' },
    'C#': {
      init: (payload: Buffer, id: string) => saslFrame(initFrame, symbol('TPM'), binary(payload), string(scoped(id))),
      authority: '',
    },
  };

  test.each([
    ['C', 'tpm-c'],
    ['C', 'c'.repeat(128)],
    ['C#', 'tpm-csharp'],
    ['C#', 's'.repeat(128)],
  ] as const)('%s end in a registration of %s', async (client, registrationId) => {
    const attestation = { type: 'tpm', tpm: { endorsementKey: endorsementKey.toString('base64') } };
    await service.provisioning.individualEnrollments.put('dps-a', registrationId, {
      body: { registrationId, attestation },
      precondition: { kind: 'absent' },
    });
    const { init, authority } = clients[client];
    const payload = Buffer.concat([zero, Buffer.from(`${service.idScope}\0${registrationId}\0`), endorsementKey]);
    const peer = new RawPeer(service.dial());
    peer.write(saslHeader);
    expect((await peer.next('sasl_mechanisms')).fields[0]?.value.map(({ value }: { value: string }) => value)).toContain('TPM');
    peer.write(init(payload, registrationId));
    const challenge = async (count: number): Promise<Buffer> => (await peer.next('sasl_challenge', count)).fields[0]?.value;
    expect(await challenge(1)).toEqual(zero);
    peer.write(saslFrame(responseFrame, binary(root)));
    // The control bytes that Java compares, whose last two bits C and C# take for a number.
    expect((await challenge(2))[0]).toBe(0x80);
    peer.write(saslFrame(responseFrame, binary(zero)));
    expect((await challenge(3))[0]).toBe(0xc1);
    const token = await signedToken(registrationId);
    peer.write(saslFrame(responseFrame, binary(Buffer.concat([zero, Buffer.from(token)]))));
    expect((await peer.next('sasl_outcome')).fields[0]?.value).toBe(0);

    await peer.open();
    const address = authority + scoped(registrationId);
    const properties = { 'com.microsoft:api-version': '2019-03-31' };
    peer.send('attach', { name: 'in', handle: 0, role: true, source: source(address), target: target('t'), properties });
    peer.send('flow', { incoming_window: 5000, next_outgoing_id: 1, outgoing_window: 5000, handle: 0, delivery_count: 0, link_credit: 10 });
    peer.send('attach', {
      name: 'out',
      handle: 1,
      role: false,
      initial_delivery_count: 0,
      source: source('s'),
      target: target(address),
      properties,
    });
    await peer.next('attach', 2);
    const tpm = { endorsementKey: endorsementKey.toString('base64'), storageRootKey: storageRootKey.toString('base64') };
    peer.transfer(1, {
      application_properties: { 'iotdps-operation-type': 'iotdps-register' },
      body: rheaMessage.data_section(Buffer.from(JSON.stringify({ registrationId, tpm }))),
    });
    const answer = sections((await peer.next('transfer')).payload)
      .get(0x75)
      ?.value.toString();
    expect(JSON.parse(answer)).toMatchObject({ status: 'assigning' });
    expect(await service.provisioning.records.get('dps-a', registrationId)).toMatchObject({ status: 'assigned' });
  });

  /** What the TPM would sign once it had opened the sealed key. */
  async function signedToken(registrationId: string): Promise<string> {
    const secret = (await service.store.read.tpm.secret('dps-a')) ?? Buffer.alloc(0);
    const { registration } = tpmDeviceKeys(secret, { registrationId, endorsementKey, storageRootKey });
    const expiresAt = plus(service.clock.now(), hours(1));
    return createSasToken({ resource: scoped(registrationId), base64Key: registration, expiresAt, keyName: 'registration' });
  }
});
