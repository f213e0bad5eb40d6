import { findRunningService } from '../../client/running-service.ts';
import { trustedAuthorities } from '../../client/trust.ts';
import type { CommandContext } from '../../context.ts';
import { failure, usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { flag, required, text } from '../../grammar/option.ts';
import { type DeviceProof, readProof } from '../device/credentials.ts';
import { addressIn } from '../../device/address.ts';
import { serviceOf } from '../device/service-address.ts';
import { dpsTarget } from '../dps-options.ts';
import { deriveKey, primaryKeyAt } from '../iot-dps-enrollment-group/compute-device-key.ts';
import { groupPath } from '../iot-dps-enrollment-group/options.ts';
import { enrollmentPath } from '../iot-dps-enrollment/options.ts';
import { readJsonObject } from '../json-argument.ts';

const symmetric = { group: 'Symmetric Key Authentication' } as const;
const x509 = { group: 'X.509 Authentication' } as const;

export const deviceRegistrationCreate = defineCommand({
  name: 'iot device registration create',
  summary: 'Register a device, as the device itself would do it.',
  details:
    'With a certificate and its key, or with a symmetric key. Without either, the key is looked up: that of the individual enrollment, or one derived from that of the group in --enrollment-group-id.',
  examples: [
    { text: 'By an individual enrollment with a symmetric key.', command: 'iot device registration create -n dps-local --rid device-001' },
    { text: 'Through an enrollment group.', command: 'iot device registration create -n dps-local --rid device-001 --gid sensors' },
    {
      text: 'With the key of the group, from which that of the device is computed.',
      command: 'iot device registration create --id-scope 0ne00000001 --host localhost --rid device-001 --key @group.key --compute-key',
    },
    {
      text: 'With a certificate.',
      command:
        'iot device registration create -n dps-local --rid sensor-thl-002 --cp ./sensor-thl-002.cert.pem --kp ./sensor-thl-002.key.pem',
    },
  ],
  options: {
    registrationId: required(text(['--registration-id', '--rid'], 'Device registration ID, or individual enrollment ID.')),
    groupId: text(['--enrollment-group-id', '--group-id', '--gid'], 'Enrollment group ID, to look up its key.'),
    symmetricKey: text(['--symmetric-key', '--key'], 'Symmetric key of the device in base64, or @file.', symmetric),
    computeKey: flag(
      ['--compute-key', '--ck'],
      'The symmetric key is that of the group: compute the key of the device from it.',
      symmetric,
    ),
    certificate: text(['--certificate-file-path', '--cp'], 'PEM file with the certificate of the device, its issuers may follow.', x509),
    key: text(['--key-file-path', '--kp'], 'PEM file with the private key of the device.', x509),
    payload: text(['--payload'], 'For the allocation webhook: JSON, or @file.'),
    host: text(['--provisioning-host', '--host'], 'HOST[:PORT] of the provisioning service. Default: that of the data folder.'),
    idScope: text(['--id-scope', '--scope'], 'ID scope of the provisioning service. Default: that of the data folder.'),
    ...dpsTarget,
  },
  async run(values, context) {
    const [{ register }, { deviceTransports }] = await Promise.all([
      import('../../device/register.ts'),
      import('../../device/transports.ts'),
    ]);
    const transport = deviceTransports.https;
    const { commonName: _commonName, ...proof } = await proofOf(values, context);
    const payload = values.payload === undefined ? {} : { payload: await readJsonObject(values.payload, '--payload') };
    const service = await findRunningService(context);
    const { idScope, host } = serviceOf(values, service, context);
    const door = { ...addressIn(host, transport, service), ...proof, authorities: await trustedAuthorities(context) };
    const conversation = await transport.provision(door, { idScope, registrationId: values.registrationId, ...payload });
    try {
      const outcome = await register(conversation);
      if (outcome.kind === 'assigned') return outcome.body;
      throw failure(`The device was not registered: ${outcome.reason}.`);
    } finally {
      await conversation.close();
    }
  },
});

interface Given {
  readonly registrationId: string;
  readonly groupId: string | undefined;
  readonly symmetricKey: string | undefined;
  readonly computeKey: boolean | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly dpsName: string | undefined;
  readonly login: string | undefined;
}

async function proofOf(given: Given, context: CommandContext): Promise<DeviceProof> {
  const { registrationId, groupId, symmetricKey, computeKey } = given;
  if (given.certificate !== undefined || given.key !== undefined) return await readProof(given);
  if (symmetricKey !== undefined) {
    return await readProof({ ...given, symmetricKey: computeKey === true ? deriveKey(symmetricKey, registrationId) : symmetricKey });
  }
  if (given.dpsName === undefined && given.login === undefined) {
    throw usageError(
      'Give a certificate with its key or a symmetric key; or name the service with --dps-name or --login, to look the key up.',
    );
  }
  if (groupId === undefined) return { symmetricKey: await primaryKeyAt(enrollmentPath(registrationId), given, context) };
  return { symmetricKey: deriveKey(await primaryKeyAt(groupPath(groupId), given, context), registrationId) };
}
