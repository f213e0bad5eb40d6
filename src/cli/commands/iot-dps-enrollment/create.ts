import type { JsonObject } from '../../../kernel/json.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { choice, required } from '../../grammar/option.ts';
import { dpsTarget, openDps } from '../dps-options.ts';
import { certificatePair, newSettings } from '../enrollment-body.ts';
import { certificateOptions, enrollmentSettings, keyOptions } from '../enrollment-options.ts';
import { readJsonObject } from '../json-argument.ts';
import { deviceId, deviceInformation, endorsementKey, enrollmentId, enrollmentPath, storageRootKey } from './options.ts';

export const enrollmentCreate = defineCommand({
  name: 'iot dps enrollment create',
  summary: 'Create an individual device enrollment.',
  details:
    'An enrollment with --provisioning-status disabled shuts one device out, even if a group would let it in. The device is recognised by its certificate, so the enrollment ID may be anything.',
  examples: [
    {
      text: 'Shut out one device of an enrollment group by its certificate.',
      command:
        'iot dps enrollment create --dps-name dps-local --enrollment-id disallow-002 --attestation-type x509 --certificate-path ./sensor-thl-002-device.cert.pem --provisioning-status disabled',
    },
    {
      text: 'Create an enrollment with initial twin tags and desired properties.',
      command: `iot dps enrollment create -n dps-local --eid device-001 --at x509 --cp ./device-001.cert.pem --initial-twin-tags '{"site":"thl"}' --initial-twin-properties '{"interval":10}'`,
    },
    {
      text: 'Create an enrollment with generated symmetric keys, for a named hub.',
      command:
        'iot dps enrollment create -n dps-local --eid device-001 --at symmetrickey --allocation-policy static --iot-hubs hub-a.azure-devices.localhost',
    },
  ],
  options: {
    enrollmentId,
    attestationType: required(
      choice(['--attestation-type', '--at'], ['symmetricKey', 'tpm', 'x509'] as const, 'How the device proves who it is.', {
        group: 'Authentication',
      }),
    ),
    deviceId,
    deviceInformation,
    endorsementKey,
    storageRootKey,
    ...certificateOptions,
    ...keyOptions,
    ...enrollmentSettings,
    ...dpsTarget,
  },
  async run(values, context) {
    const attestation = await readAttestation(values);
    const body: JsonObject = {
      registrationId: values.enrollmentId,
      ...(values.deviceId === undefined ? {} : { deviceId: values.deviceId }),
      optionalDeviceInformation: values.deviceInformation ? await readJsonObject(values.deviceInformation, '--device-information') : {},
      attestation,
      ...(await newSettings(values)),
    };
    const service = await openDps(values, context);
    return service.send({ method: 'PUT', path: enrollmentPath(values.enrollmentId), body });
  },
});

async function readAttestation(values: {
  readonly attestationType: 'symmetricKey' | 'tpm' | 'x509';
  readonly endorsementKey: string | undefined;
  readonly storageRootKey: string | undefined;
  readonly certificatePath: string | undefined;
  readonly secondaryCertificatePath: string | undefined;
  readonly primaryKey: string | undefined;
  readonly secondaryKey: string | undefined;
}): Promise<JsonObject> {
  const { attestationType, certificatePath, secondaryCertificatePath, primaryKey, secondaryKey } = values;
  if (attestationType === 'tpm') {
    if (values.endorsementKey === undefined) throw usageError('Attestation type tpm needs --endorsement-key.');
    const { endorsementKey: key, storageRootKey: root } = values;
    return { type: 'tpm', tpm: { endorsementKey: key, ...(root === undefined ? {} : { storageRootKey: root }) } };
  }
  if (attestationType === 'x509') {
    if (certificatePath === undefined && secondaryCertificatePath === undefined) {
      throw usageError('Attestation type x509 needs --certificate-path or --secondary-certificate-path.');
    }
    return { type: 'x509', x509: { clientCertificates: await certificatePair(certificatePath, secondaryCertificatePath) } };
  }
  const keys = { ...(primaryKey === undefined ? {} : { primaryKey }), ...(secondaryKey === undefined ? {} : { secondaryKey }) };
  return { type: 'symmetricKey', symmetricKey: keys };
}
