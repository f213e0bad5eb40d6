import { createHmac, randomBytes } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type TransportName, transportNames } from '../../src/contracts/transport.ts';
import { type AzureSdks, type SdkError, startAzureSdks } from './harness/azure-sdks.ts';
import { openStage, type Stage } from './harness/stage.ts';

// Devices with keys, through unmodified SDKs: an individual enrollment and a group, over every transport; assigned and
// connected to the hub with the same key, disabled, a wrong key, a token that has ended.

const groupKey = randomBytes(64).toString('base64');
const derive = (id: string): string => createHmac('sha256', Buffer.from(groupKey, 'base64')).update(id).digest('base64');

let stage: Stage;
let late: AzureSdks;

beforeAll(async () => {
  stage = await openStage();
  // The SDK signs for an hour, and five minutes are forgiven.
  late = await startAzureSdks(stage.service.endpoints, -3600 - 600);
  for (const [id, provisioningStatus] of [
    ['keys', 'enabled'],
    ['keys-disabled', 'disabled'],
  ] as const) {
    const symmetricKey = id === 'keys' ? { primaryKey: groupKey, secondaryKey: randomBytes(64).toString('base64') } : undefined;
    await dps('createOrUpdateEnrollmentGroup', {
      enrollmentGroupId: id,
      attestation: { type: 'symmetricKey', symmetricKey },
      provisioningStatus,
    });
  }
});
afterAll(async () => {
  await late?.close();
  await stage?.close();
});

const dps = <T>(method: string, ...args: readonly unknown[]): Promise<T> =>
  stage.sdks.run<T>('dps', { connectionString: stage.dpsConnectionString, method, args });

interface Keys {
  readonly primaryKey: string;
  readonly secondaryKey: string;
}

/** An individual enrollment whose keys the service makes. */
async function enroll(id: string, extra: object = {}): Promise<Keys> {
  const enrollment = {
    registrationId: id,
    attestation: { type: 'symmetricKey', symmetricKey: {} },
    provisioningStatus: 'enabled',
    ...extra,
  };
  const made = await dps<{ attestation: { symmetricKey: Keys } }>('createOrUpdateIndividualEnrollment', enrollment);
  return made.attestation.symmetricKey;
}

const registration = (transport: TransportName, registrationId: string, symmetricKey: string): object => ({
  transport,
  host: stage.globalEndpoint,
  idScope: stage.idScope,
  registrationId,
  symmetricKey,
});

interface Assigned {
  readonly status: string;
  readonly assignedHub: string;
  readonly deviceId: string;
  readonly symmetricKey?: object;
}

const register = (transport: TransportName, id: string, key: string): Promise<Assigned> =>
  stage.sdks.run('register', registration(transport, id, key));
const failure = (transport: TransportName, id: string, key: string, sdks = stage.sdks): Promise<SdkError> =>
  sdks.failure('register', registration(transport, id, key));

/** The hub lets the device in with the key it registered with. */
async function connects(transport: TransportName, { assignedHub, deviceId }: Assigned, key: string): Promise<void> {
  await stage.sdks.run('open', { connection: deviceId, transport, hub: assignedHub, deviceId, sharedAccessKey: key, noRetry: true });
  await stage.sdks.run('send', { connection: deviceId, text: 'with a key' });
  await stage.sdks.run('close', { connection: deviceId });
}

/** 401002 as each wire says it: the SDK hands out the body over HTTPS and MQTT, and over AMQP the error with it inside. */
function expectUnauthorized(error: SdkError, transport: TransportName): void {
  expect(error.name).toBe(transport.startsWith('amqp') ? undefined : 'UnauthorizedError');
  expect(JSON.stringify(error)).toMatch(/401002/u);
  if (transport.startsWith('amqp')) expect(error.message).toContain('amqp:unauthorized-access');
}

describe.concurrent.each(transportNames)('over %s', (transport) => {
  test('an individual enrollment lets both keys in, to the hub as well', async () => {
    const id = `own-${transport}`;
    const { primaryKey, secondaryKey } = await enroll(id);
    const assigned = await register(transport, id, primaryKey);
    expect(assigned).toMatchObject({ status: 'assigned', deviceId: id, symmetricKey: {} });
    await connects(transport, assigned, primaryKey);
    await connects(transport, await register(transport, id, secondaryKey), secondaryKey);
    expectUnauthorized(await failure(transport, id, groupKey), transport);
    expectUnauthorized(await failure(transport, id, primaryKey, late), transport);
  });

  test('a disabled individual enrollment is a result, and no error', async () => {
    const id = `own-disabled-${transport}`;
    const { primaryKey } = await enroll(id, { provisioningStatus: 'disabled' });
    const refused = await failure(transport, id, primaryKey);
    expect(refused.result).toMatchObject({ status: 'disabled', registrationState: { status: 'disabled' } });
  });

  test('a group lets derived keys in, to the hub as well, and nothing else', async () => {
    const id = `derived-${transport}`;
    const assigned = await register(transport, id, derive(id));
    expect(assigned).toMatchObject({ status: 'assigned', deviceId: id, symmetricKey: { enrollmentGroupId: 'keys' } });
    await connects(transport, assigned, derive(id));
    expectUnauthorized(await failure(transport, id, groupKey), transport);
    expectUnauthorized(await failure(transport, id, derive('another')), transport);
    expectUnauthorized(await failure(transport, id, derive(id), late), transport);
  });

  test('a disabled group is a result, and no error', async () => {
    const id = `derived-disabled-${transport}`;
    const { symmetricKey } = await dps<{ symmetricKey: Keys }>('getEnrollmentGroupAttestationMechanism', 'keys-disabled');
    const key = createHmac('sha256', Buffer.from(symmetricKey.primaryKey, 'base64')).update(id).digest('base64');
    const refused = await failure(transport, id, key);
    expect(refused.result).toMatchObject({ status: 'disabled', registrationState: { status: 'disabled' } });
  });

  test('an id with capitals and a colon is the same device', async () => {
    const id = `Line:${transport}`;
    expect(await register(transport, id, derive(id))).toMatchObject({ status: 'assigned', deviceId: id });
    expect(await register(transport, id, derive(id.toLowerCase()))).toMatchObject({ status: 'assigned', deviceId: id });
  });
});
