import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { noSoftwareTpm } from '../fixtures/software-tpm.ts';
import { type AzureSdks, type SdkError, startAzureSdks } from './harness/azure-sdks.ts';
import { openStage, type Stage } from './harness/stage.ts';
import { startTpmSimulator, type TpmSimulator } from './harness/tpm-simulator.ts';

// The genuine TPM client of the Node SDK, with a real TPM 2.0 in software behind it: registers over both protocols that
// know TPMs, opens what Muster sealed, and connects to its hub with the key that came out.

const suite = `a device with a TPM${noSoftwareTpm === undefined ? '' : ` (${noSoftwareTpm})`}`;

describe.skipIf(noSoftwareTpm !== undefined)(suite, () => {
  let stage: Stage;
  let simulator: TpmSimulator;
  let stranger: TpmSimulator;
  beforeAll(async () => {
    [stage, simulator, stranger] = await Promise.all([openStage(), startTpmSimulator(), startTpmSimulator()]);
  });
  afterAll(async () => {
    await stage?.close();
    await Promise.all([simulator?.close(), stranger?.close()]);
  });

  interface TpmKeys {
    readonly registrationId: string;
    readonly endorsementKey: string;
    readonly storageRootKey: string;
  }
  const keysOf = ({ port }: TpmSimulator): Promise<TpmKeys> => stage.sdks.run('tpmKeys', { tpmPort: port });
  const dps = (method: string, ...args: readonly unknown[]): Promise<unknown> =>
    stage.sdks.run('dps', { connectionString: stage.dpsConnectionString, method, args });
  const enroll = (registrationId: string, tpm: object, extra: object = {}): Promise<unknown> =>
    dps('createOrUpdateIndividualEnrollment', {
      registrationId,
      attestation: { type: 'tpm', tpm },
      provisioningStatus: 'enabled',
      ...extra,
    });
  const registration = (transport: string, { port }: TpmSimulator): object => ({
    transport,
    host: stage.globalEndpoint,
    idScope: stage.idScope,
    tpmPort: port,
  });
  const failure = (transport: string, tpm: TpmSimulator): Promise<SdkError> => stage.sdks.failure('register', registration(transport, tpm));

  for (const transport of ['https', 'amqp', 'amqp-ws']) {
    test(`registers over ${transport}, and connects with the key that it opened`, async () => {
      const { registrationId, endorsementKey } = await keysOf(simulator);
      await dps('deleteIndividualEnrollment', registrationId).catch(() => {});

      // Over HTTPS the SDK keeps the answer to its first request to itself, and says whether it was a challenge.
      const expectRefusal = async (code: string, overHttps: string): Promise<void> => {
        const refused = await failure(transport, simulator);
        if (transport === 'https') expect(refused.name).toBe(overHttps);
        else expect(refused.message).toContain(code);
      };

      await expectRefusal('404201', 'InvalidOperationError');

      // Enrolled with the key of another TPM.
      await enroll(registrationId, { endorsementKey: (await keysOf(stranger)).endorsementKey });
      await expectRefusal('401002', 'FormatError');
      await dps('deleteIndividualEnrollment', registrationId);

      await enroll(registrationId, { endorsementKey });
      const result = await stage.sdks.run<{ registrationState: { status: string; assignedHub: string; deviceId: string } }>(
        'register',
        registration(transport, simulator),
      );
      const { status, assignedHub, deviceId } = result.registrationState;
      expect({ status, deviceId }).toEqual({ status: 'assigned', deviceId: registrationId });

      const connection = `tpm-${transport}`;
      await stage.sdks.run('openWithTpm', { connection, transport, hub: assignedHub, deviceId, tpmPort: simulator.port });
      await stage.sdks.run('send', { connection, text: 'from a TPM' });
      await stage.sdks.run('close', { connection });

      const entry = (await dps('getIndividualEnrollment', registrationId)) as object;
      await dps('createOrUpdateIndividualEnrollment', { ...entry, provisioningStatus: 'disabled' });
      const refused = await failure(transport, simulator);
      expect(refused.result).toMatchObject({ status: 'disabled', registrationState: { status: 'disabled' } });
    });
  }

  describe('whose clock stands still', () => {
    let late: AzureSdks;
    let slow: TpmSimulator;
    beforeAll(async () => {
      // The SDK signs for an hour, and five minutes are forgiven. A TPM talks to one process at a time.
      [late, slow] = await Promise.all([startAzureSdks(stage.service.endpoints, -3600 - 600), startTpmSimulator()]);
    });
    afterAll(async () => {
      await late?.close();
      await slow?.close();
    });

    test.each(['https', 'amqp', 'amqp-ws'])('is refused over %s, though the right TPM signed its token', async (transport) => {
      const { registrationId, endorsementKey } = await late.run<TpmKeys>('tpmKeys', { tpmPort: slow.port });
      await dps('deleteIndividualEnrollment', registrationId).catch(() => {});
      await enroll(registrationId, { endorsementKey });
      const refused = await late.failure('register', registration(transport, slow));
      if (transport === 'https') expect(refused.name).toBe('UnauthorizedError');
      else expect(refused.message).toContain('401002');
    });
  });
});
