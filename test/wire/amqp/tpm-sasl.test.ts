import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createTpmSasl } from '../../../src/transports/amqp/dps/tpm-sasl.ts';
import { splitBlob } from '../../fixtures/software-tpm.ts';
import { endorsementKeyFields, renderStorageKey, storageRootKeyFields } from '../../fixtures/storage-key.ts';
import { openClient } from './client.ts';
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
