import { afterEach, describe, expect, test } from 'vitest';

import { createSasToken } from '../../../src/access/sas-token.ts';
import type { QuotaNumbers } from '../../../src/contracts/quotas.ts';
import { instant } from '../../../src/kernel/clock.ts';
import { withoutWebhooks } from '../../fixtures/no-webhooks.ts';
import { answers, ScriptedWebhooks } from '../../fixtures/scripted-webhooks.ts';
import { ecKey, make, type Made, noon } from '../../fixtures/pki/make-certificate.ts';
import { type Asking, type DoorName, doors, type EveryDoor, openEveryDoor, type Seen } from './every-door.ts';

// The failure matrix of the device API (dps.md 3.2), each row provoked through each door.

const year = 366 * 86_400_000;
const root = make({ subject: 'Root', key: ecKey(), ca: true });
const stranger = make({ subject: 'Stranger', key: ecKey(), ca: true });
const key = ecKey();
const leaf = (subject: string, issuer: Made = root, spec: object = {}): Made => make({ subject, key, issuer, ...spec });
const absent = { kind: 'absent' } as const;

interface Row {
  readonly name: string;
  /** Columns of the table; `code` is absent for what is a result and no error. */
  readonly status: number;
  readonly code?: number;
  readonly message: string | RegExp;
  readonly condition?: string;
  readonly retryAfter?: number;
  readonly quotas?: QuotaNumbers;
  /** No hub is linked. */
  readonly isAlone?: boolean;
  readonly prepare?: (service: EveryDoor) => Promise<unknown>;
  readonly asking: (service: EveryDoor) => Asking;
  /** Asked once before, with the same certificate. */
  readonly isSecond?: boolean;
  /** What happens while the webhook is being asked. */
  readonly meanwhile?: (service: EveryDoor, round: number) => Promise<unknown>;
}

const device = (id = 'dev-1', certificate = leaf(id)): Asking => ({ id, certificates: [certificate] });
const unauthorized = 'amqp:unauthorized-access';

const errors: readonly Row[] = [
  {
    name: 'malformed JSON',
    status: 400,
    code: 400004,
    message: /JSON/u,
    condition: 'com.microsoft:argument-error',
    asking: () => ({ ...device(), body: '{"registrationId":' }),
  },
  {
    name: 'an id in the body that is not the one that is asked for',
    status: 400,
    code: 400004,
    message: /^registrationId in the body differs/u,
    condition: 'com.microsoft:argument-error',
    asking: () => ({ ...device(), body: '{"registrationId":"dev-2"}' }),
  },
  {
    name: 'unknown id scope',
    status: 401,
    code: 401002,
    message: 'Unauthorized',
    condition: unauthorized,
    asking: () => ({ ...device(), idScope: '0ne00000000' }),
  },
  {
    name: 'no credential',
    status: 401,
    code: 401002,
    message: 'Unauthorized',
    condition: unauthorized,
    asking: () => ({ id: 'dev-1' }),
  },
  {
    name: 'X.509: no enrollment',
    status: 401,
    code: 401002,
    message: 'Unauthorized',
    condition: unauthorized,
    prepare: (service) => service.provisioning.enrollmentGroups.delete('dps', 'group', absent).then(() => verifiedRoot(service)),
    asking: () => device(),
  },
  {
    name: 'X.509: another certificate than the enrollment’s',
    status: 401,
    code: 401002,
    message: 'Unauthorized',
    condition: unauthorized,
    prepare: (service) => enroll(service, 'dev-1', leaf('dev-1', root, { key: ecKey() })),
    asking: () => device(),
  },
  {
    name: 'X.509: untrusted chain',
    status: 401,
    code: 401002,
    message: 'CA certificate not found',
    condition: unauthorized,
    asking: () => device('dev-1', leaf('dev-1', stranger)),
  },
  {
    name: 'X.509: expired',
    status: 401,
    code: 401002,
    message: 'Invalid certificate',
    condition: unauthorized,
    asking: () => device('dev-1', leaf('dev-1', root, { notBefore: noon - year, notAfter: noon - 1000 })),
  },
  {
    name: 'X.509: named after another device',
    status: 401,
    code: 401002,
    message: /^Invalid certificate/u,
    condition: unauthorized,
    asking: () => device('dev-1', leaf('dev-2')),
  },
  {
    name: 'kept out by the IP filter',
    status: 401,
    code: 401002,
    message: 'Unauthorized',
    condition: unauthorized,
    prepare: ({ provisioning }) =>
      provisioning.instances.update('dps', {
        ipFilterRules: [{ filterName: 'closed', action: 'Reject', ipMask: '198.51.100.0/24', target: 'deviceApi' }],
        precondition: absent,
      }),
    asking: () => ({ ...device(), remoteAddress: '::ffff:198.51.100.7' }),
  },
  {
    name: 'unknown operation',
    status: 404,
    code: 404203,
    message: 'Operation not found.',
    condition: 'amqp:not-found',
    asking: () => ({ ...device(), operationId: '4.0000000000000000.none' }),
  },
  {
    name: 'throttled',
    status: 429,
    code: 429001,
    message: 'Operations are being throttled for this tenant.',
    condition: 'com.microsoft:device-container-throttled',
    retryAfter: 60,
    quotas: { registrationsPerMinute: 1 },
    isSecond: true,
    asking: () => device(),
  },
  {
    name: 'polls throttled',
    status: 429,
    code: 429001,
    message: 'Operations are being throttled for this tenant.',
    condition: 'com.microsoft:device-container-throttled',
    retryAfter: 10,
    quotas: { pollsPerTenSeconds: 1 },
    isSecond: true,
    asking: () => ({ ...device(), operationId: '4.0000000000000000.none' }),
  },
  {
    name: 'more registrations than the quota',
    status: 403,
    code: 403003,
    message: 'The quota of registration records is used up: it is 1.',
    condition: 'amqp:resource-limit-exceeded',
    quotas: { registrations: 1 },
    prepare: (service) => service.ask('https', device('dev-0', leaf('dev-0'))),
    asking: () => device(),
  },
  ...(
    [
      ['signed with another key', keyOf(9), {}],
      ['an expired token', keyOf(1), { expiresAt: noon - 3_600_000 }],
      ['a token for another device', keyOf(1), { id: 'dev-2' }],
    ] as const
  ).map(([name, base64Key, token]): Row => ({
    name: `symmetric key: ${name}`,
    status: 401,
    code: 401002,
    message: 'Unauthorized',
    condition: unauthorized,
    prepare: (service) => enrollKey(service, 'dev-1'),
    asking: ({ idScope }) => ({ id: 'dev-1', sasToken: tokenOf(idScope, base64Key, token) }),
  })),
  {
    name: 'symmetric key: the group’s own, used by a device',
    status: 401,
    code: 401002,
    message: 'Unauthorized',
    condition: unauthorized,
    prepare: ({ provisioning }) =>
      provisioning.enrollmentGroups.put('dps', 'keys', {
        body: { enrollmentGroupId: 'keys', attestation: keyAttestation },
        precondition: absent,
      }),
    asking: ({ idScope }) => ({ id: 'dev-1', sasToken: tokenOf(idScope, keyOf(1)) }),
  },
  // TPM (unknown id: 404201): not over MQTT; test/wire/http/dps-device.test.ts and the clients in test/interop have it.
];

/** Ends of a registration that was let in: results, read by a poll, and no errors. */
const failures: readonly Row[] = [
  {
    name: 'no hub linked',
    status: 200,
    code: 400208,
    message: /hub/iu,
    isAlone: true,
    asking: () => device(),
  },
  {
    name: 'static without a hub',
    status: 200,
    code: 400208,
    message: /hub/iu,
    prepare: ({ provisioning }) =>
      provisioning.enrollmentGroups.put('dps', 'group', {
        body: { enrollmentGroupId: 'group', attestation: inLine, allocationPolicy: 'static' },
        precondition: { kind: 'any' },
      }),
    asking: () => device(),
  },
  {
    name: 'the hub refuses',
    status: 200,
    code: 400209,
    message: /^ErrorCode:/u,
    isAlone: true,
    prepare: (service) => service.link('nobody.example.org', false),
    asking: () => device(),
  },
];

const withWebhook = ({ provisioning }: EveryDoor, webhookUrl: string): Promise<unknown> =>
  provisioning.enrollmentGroups.put('dps', 'group', {
    body: {
      enrollmentGroupId: 'group',
      attestation: inLine,
      allocationPolicy: 'custom',
      customAllocationDefinition: { webhookUrl, apiVersion: '2021-10-01' },
    },
    precondition: { kind: 'any' },
  });
const webhookUrl = 'https://hooks.example.org/allocate';

/** Their ends come after the webhook's answer, so the poll may find them under way. */
const webhookFailures: readonly Row[] = [
  {
    name: 'a webhook that fails',
    status: 200,
    code: 400207,
    message: 'Custom allocation failed with status code: 503',
    prepare: (service) => withWebhook(service, webhookUrl),
    asking: () => device(),
  },
  {
    // The other way to it, two registrations at once, ends well for both (docs/compatibility.md).
    name: 'an enrollment that changes whenever its webhook is asked',
    status: 200,
    code: 409203,
    message: /changed again and again/u,
    prepare: (service) => withWebhook(service, webhookUrl),
    meanwhile: (service, round) => withWebhook(service, `${webhookUrl}/${round}`),
    asking: () => device(),
  },
];

function keyOf(n: number): string {
  return Buffer.alloc(64, n).toString('base64');
}

const keyAttestation = { type: 'symmetricKey', symmetricKey: { primaryKey: keyOf(1), secondaryKey: keyOf(2) } };

const enrollKey = ({ provisioning }: EveryDoor, id: string): Promise<unknown> =>
  provisioning.individualEnrollments.put('dps', id, { body: { registrationId: id, attestation: keyAttestation }, precondition: absent });

function tokenOf(idScope: string, base64Key: string, { id = 'dev-1', expiresAt = noon + 3_600_000 } = {}): string {
  return createSasToken({ resource: `${idScope}/registrations/${id}`, base64Key, expiresAt: instant(expiresAt), keyName: 'registration' });
}

const inLine = { type: 'x509', x509: { signingCertificates: { primary: { certificate: root.pem } } } };

const enroll = ({ provisioning }: EveryDoor, id: string, certificate: Made, more: object = {}): Promise<unknown> =>
  provisioning.individualEnrollments.put('dps', id, {
    body: {
      registrationId: id,
      attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: certificate.pem } } } },
      ...more,
    },
    precondition: absent,
  });

const verifiedRoot = ({ provisioning }: EveryDoor): Promise<unknown> =>
  provisioning.caCertificates.put('dps', 'root', { certificate: root.pem, isVerified: true, precondition: absent });

let service: EveryDoor | undefined;
afterEach(async () => {
  await service?.close();
  service = undefined;
});

type Staged = Pick<Row, 'quotas' | 'isAlone' | 'prepare' | 'meanwhile'>;

async function stage({ quotas, isAlone = false, prepare, meanwhile }: Staged): Promise<EveryDoor> {
  const webhooks = new ScriptedWebhooks();
  webhooks.answer = () => answers(503, '');
  const call = webhooks.call.bind(webhooks);
  webhooks.call = async (asked) => {
    const result = await call(asked);
    if (service !== undefined) await meanwhile?.(service, webhooks.calls.length);
    return result;
  };
  service = await openEveryDoor({ allocation: { ...withoutWebhooks, webhooks }, ...(quotas === undefined ? {} : { quotas }) });
  if (!isAlone) await service.link('hub-a.example.org');
  await service.provisioning.enrollmentGroups.put('dps', 'group', {
    body: { enrollmentGroupId: 'group', attestation: inLine },
    precondition: absent,
  });
  await prepare?.(service);
  return service;
}

const throughEach = (rows: readonly Row[]): readonly (readonly [string, DoorName, Row])[] =>
  rows.flatMap((row) => doors.map((door) => [row.name, door, row] as const));

describe('errors', () => {
  test.each(throughEach(errors))('%s over %s', async (_name, door, row) => {
    const opened = await stage(row);
    if (row.isSecond === true) await opened.ask(door, row.asking(opened));
    const seen = await opened.ask(door, row.asking(opened));
    expect(seen).toEqual({
      status: row.status,
      ...(row.retryAfter === undefined ? {} : { retryAfter: row.retryAfter }),
      ...(door === 'amqp' ? { condition: row.condition } : {}),
      body: {
        errorCode: row.code,
        trackingId: expect.stringMatching(/^[0-9a-f-]{36}$/u),
        message: typeof row.message === 'string' ? row.message : expect.stringMatching(row.message),
        timestampUtc: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/u),
      },
    });
  });
});

/** Registers and polls with what the first answer said. */
async function settleOver(opened: EveryDoor, door: DoorName, asking: Asking): Promise<readonly [Seen, Seen]> {
  const first = await opened.ask(door, asking);
  const poll = (): Promise<Seen> => opened.ask(door, { ...asking, operationId: first.body.operationId });
  let second = await poll();
  while (second.body.status === 'assigning') {
    // The doors are in this process: without a turn for the store, a poll that never waits would leave it none.
    await new Promise((resolve) => setImmediate(resolve));
    second = await poll();
  }
  return [first, second];
}

describe('failed', () => {
  test.each(throughEach([...failures, ...webhookFailures]))('%s over %s', async (_name, door, row) => {
    const opened = await stage(row);
    const [first, second] = await settleOver(opened, door, row.asking(opened));
    // IoT Edge takes nothing but 202 for a first answer, and both members of a failure (dps.md 1.3).
    expect([first.status, first.body]).toEqual([door === 'amqp' ? 200 : 202, { operationId: expect.any(String), status: 'assigning' }]);
    expect(second.status).toBe(row.status);
    expect(second.body).toEqual({
      operationId: first.body.operationId,
      status: 'failed',
      registrationState: {
        x509: {},
        registrationId: 'dev-1',
        createdDateTimeUtc: expect.any(String),
        status: 'failed',
        errorCode: row.code,
        errorMessage: typeof row.message === 'string' ? row.message : expect.stringMatching(row.message),
        lastUpdatedDateTimeUtc: expect.any(String),
        etag: expect.any(String),
      },
    });
  });
});

describe('disabled is a result', () => {
  test.each(doors)('over %s', async (door) => {
    const certificate = leaf('dev-1');
    const opened = await stage({ prepare: (at) => enroll(at, 'deny', certificate, { provisioningStatus: 'disabled' }) });
    expect(await opened.ask(door, device('dev-1', certificate))).toEqual({
      status: 200,
      body: { operationId: '', status: 'disabled', registrationState: { registrationId: 'dev-1', status: 'disabled' } },
    });
  });
});

describe('what IoT Edge counts on (dps.md 1.3)', () => {
  test.each(doors)('first 202 with the delay, then the assignment, over %s', async (door) => {
    const opened = await stage({});
    const [first, second] = await settleOver(opened, door, device());
    expect(first).toEqual({
      status: door === 'amqp' ? 200 : 202,
      retryAfter: 2,
      body: { operationId: expect.stringMatching(/^[0-9A-Za-z.-]+$/u), status: 'assigning' },
    });
    expect(second).toEqual({
      status: 200,
      body: {
        operationId: first.body.operationId,
        status: 'assigned',
        registrationState: expect.objectContaining({
          registrationId: 'dev-1',
          assignedHub: 'hub-a.example.org',
          deviceId: 'dev-1',
          status: 'assigned',
          substatus: 'initialAssignment',
        }),
      },
    });
    // A device that is assigned already goes the same way.
    expect((await opened.ask(door, device())).status).toBe(first.status);
  });

  test.each(doors)('a poll while it is assigning has a registration state, over %s', async (door) => {
    const opened = await stage({});
    await opened.ask(door, device());
    const operationId = '4.0000000000000001.under-way';
    await opened.store.write(({ registrations }) =>
      registrations.putOperation({ instance: 'dps', operationId, registrationId: 'dev-1', createdAt: opened.clock.now() }),
    );
    expect(await opened.ask(door, { ...device(), operationId })).toEqual({
      status: door === 'amqp' ? 200 : 202,
      retryAfter: 2,
      body: { operationId, status: 'assigning', registrationState: { registrationId: 'dev-1', status: 'assigning' } },
    });
  });

  test.each(doors)('the delay is what the configuration says, over %s', async (door) => {
    service = await openEveryDoor({ pollAfterSeconds: 1 });
    await service.link('hub-a.example.org');
    await service.provisioning.enrollmentGroups.put('dps', 'group', {
      body: { enrollmentGroupId: 'group', attestation: inLine },
      precondition: absent,
    });
    expect((await service.ask(door, device())).retryAfter).toBe(1);
  });
});

describe('requireVerifiedCa is Azure’s rule', () => {
  test.each(doors)('an in-line certificate lets nobody in until a CA above it, or itself, is verified, over %s', async (door) => {
    service = await openEveryDoor({ requireVerifiedCa: true });
    await service.link('hub-a.example.org');
    const middle = make({ subject: 'Middle', key: ecKey(), issuer: root, ca: true });
    await service.provisioning.enrollmentGroups.put('dps', 'group', {
      body: {
        enrollmentGroupId: 'group',
        attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: middle.pem } } } },
      },
      precondition: absent,
    });
    const asking = { id: 'dev-1', certificates: [leaf('dev-1', middle), middle] };
    const refused = await service.ask(door, asking);
    expect([refused.status, refused.body.message]).toEqual([401, 'CA certificate not found']);
    await service.provisioning.caCertificates.put('dps', 'root', { certificate: root.pem, isVerified: false, precondition: absent });
    expect((await service.ask(door, asking)).status).toBe(401);
    await service.provisioning.caCertificates.put('dps', 'root', {
      certificate: root.pem,
      isVerified: true,
      precondition: { kind: 'any' },
    });
    const [, polled] = await settleOver(service, door, asking);
    expect(polled.body.status).toBe('assigned');
  });
});

describe('a storm of one device from 50 connections at once', () => {
  // Every connection is one of its own, and in the last case they come over all protocols together.
  test.each([...doors, 'all'] as const)('leaves one identity and one record, and nobody gets an error, over %s', async (over) => {
    const opened = await stage({});
    const asking = device();
    const doorOf = (at: number): DoorName => (over === 'all' ? (doors[at % doors.length] ?? 'https') : over);
    const ends = await Promise.all(Array.from({ length: 50 }, (_, at) => settleOver(opened, doorOf(at), asking)));
    for (const [first, second] of ends) {
      expect([first.status < 300, first.body.status]).toEqual([true, 'assigning']);
      expect([second.status, second.body.status]).toEqual([200, 'assigned']);
    }
    expect(new Set(ends.map(([, { body }]) => body.registrationState.assignedHub))).toEqual(new Set(['hub-a.example.org']));
    expect((await opened.store.read.registrations.listByGroup('dps', 'group', { limit: 10 })).items).toHaveLength(1);
    expect((await opened.store.read.devices.list('hub-a', { limit: 10 })).items.map(({ deviceId }) => deviceId)).toEqual(['dev-1']);
  });
});
