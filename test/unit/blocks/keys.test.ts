import { describe, expect, test } from 'vitest';

import { keysOf, selectCertificate, selectDeviceId, selectRegistrationId, selectThumbprint } from '../../../src/blocks/keys.ts';

// The keys are stored: a later version that makes them otherwise would lift every block in silence.
const certificate = {
  sha256: 'AB'.repeat(32),
  tbsSha256: 'EF'.repeat(32),
  publicKeySha256: 'CD'.repeat(32),
  serialNumber: '01F0',
  issuer: 'CN=Int, O=Plant',
  issuerKey: '2.5.4.10=plant,2.5.4.3=int',
  subject: 'CN=Sensor-1',
  subjectKey: '2.5.4.3=sensor-1',
};

describe('keys', () => {
  test('have the form that is stored', () => {
    expect(keysOf({ certificate, registrationId: 'Sensor-1', deviceId: 'Sensor-1' })).toEqual([
      `thumbprint:${'AB'.repeat(32)}`,
      `leaf:${'EF'.repeat(32)}`,
      `publicKey:${'CD'.repeat(32)}`,
      'issuerSerial:01F0/e9dee4c7e5d48dd17feab883f8d16ceac6b09e922a356c0dec8e424e78c73c47',
      'subject:84798cffdef215f430737691b0cf818245681953bc3c8b43a678588d153106fa',
      'registrationId:sensor-1',
      'deviceId:Sensor-1',
    ]);
  });

  test('are those of the selectors that cover the same certificate', () => {
    const kinds = ['leaf', 'publicKey', 'issuerSerial', 'subject'] as const;
    expect(kinds.map((kind) => selectCertificate(kind, certificate).key)).toEqual(keysOf({ certificate }).slice(1));
    expect(selectRegistrationId('SENSOR-1').key).toBe(selectRegistrationId('sensor-1').key);
    expect(selectDeviceId('SENSOR-1').key).not.toBe(selectDeviceId('sensor-1').key);
  });

  test('a thumbprint is read with or without colons, in either case', () => {
    const expected = { kind: 'leaf', value: certificate.sha256, key: keysOf({ certificate })[0] };
    expect(selectThumbprint('ab'.repeat(32))).toEqual(expected);
    expect(selectThumbprint(Array.from({ length: 32 }, () => 'aB').join(':'))).toEqual(expected);
    for (const text of ['', 'ab', 'zz'.repeat(32), 'ab'.repeat(20)]) expect(selectThumbprint(text)).toBeUndefined();
  });
});
