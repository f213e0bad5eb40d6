import type { JsonObject } from '../../../kernel/json.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { dpsTarget, openDps } from '../dps-options.ts';
import { certificatePair, newSettings } from '../enrollment-body.ts';
import { certificateOptions, enrollmentSettings, keyOptions } from '../enrollment-options.ts';
import { caOptions, groupId, groupPath } from './options.ts';

export const groupCreate = defineCommand({
  name: 'iot dps enrollment-group create',
  summary: 'Create an enrollment group.',
  details:
    'With a certificate path, devices below that root or intermediate are let in; with a CA name, those below an uploaded certificate; with neither, those that hold a key derived from the symmetric key of the group.',
  examples: [
    {
      text: 'Let in every device with a certificate below an intermediate.',
      command: 'iot dps enrollment-group create --dps-name dps-local --enrollment-id sensors --certificate-path ./intermediate.cert.pem',
    },
    {
      text: 'The same below an uploaded and verified root, with an initial twin.',
      command: `iot dps enrollment-group create -n dps-local --eid sensors --ca-name root --initial-twin-properties '{"interval":10}'`,
    },
    {
      text: 'Spread devices over two hubs.',
      command:
        'iot dps enrollment-group create -n dps-local --eid sensors --cp ./root.cert.pem --allocation-policy hashed --iot-hubs hub-a.azure-devices.localhost hub-b.azure-devices.localhost',
    },
  ],
  options: { groupId, ...certificateOptions, ...caOptions, ...keyOptions, ...enrollmentSettings, ...dpsTarget },
  async run(values, context) {
    const body: JsonObject = {
      enrollmentGroupId: values.groupId,
      attestation: await readAttestation(values),
      ...(await newSettings(values)),
    };
    const service = await openDps(values, context);
    return service.send({ method: 'PUT', path: groupPath(values.groupId), body });
  },
});

async function readAttestation(values: {
  readonly certificatePath: string | undefined;
  readonly secondaryCertificatePath: string | undefined;
  readonly rootCaName: string | undefined;
  readonly secondaryRootCaName: string | undefined;
  readonly primaryKey: string | undefined;
  readonly secondaryKey: string | undefined;
}): Promise<JsonObject> {
  const {
    certificatePath,
    secondaryCertificatePath,
    rootCaName: primary,
    secondaryRootCaName: secondary,
    primaryKey,
    secondaryKey,
  } = values;
  const byPath = certificatePath !== undefined || secondaryCertificatePath !== undefined;
  const byName = primary !== undefined || secondary !== undefined;
  if (byPath && byName) throw usageError('Provide either certificate paths or CA names, not both.');
  if (byPath) return { type: 'x509', x509: { signingCertificates: await certificatePair(certificatePath, secondaryCertificatePath) } };
  if (byName) {
    const references = { ...(primary === undefined ? {} : { primary }), ...(secondary === undefined ? {} : { secondary }) };
    return { type: 'x509', x509: { caReferences: references } };
  }
  const keys = { ...(primaryKey === undefined ? {} : { primaryKey }), ...(secondaryKey === undefined ? {} : { secondaryKey }) };
  return { type: 'symmetricKey', symmetricKey: keys };
}
