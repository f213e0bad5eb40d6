import type { JsonObject } from '../../../kernel/json.ts';
import type { ServiceClient } from '../../client/service-client.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { dpsTarget, openDps } from '../dps-options.ts';
import { changedSettings, objectAt } from '../enrollment-body.ts';
import { certificateOptions, enrollmentSettings, keyOptions, updateOptions } from '../enrollment-options.ts';
import { type CertificateChange, changeCertificates, changeKeys, changeReferences, readEntry, readKeys } from '../enrollment-update.ts';
import { readmitHeaders } from '../readmit.ts';
import { caOptions, groupId, groupPath } from './options.ts';

export const groupUpdate = defineCommand({
  name: 'iot dps enrollment-group update',
  summary: 'Update an enrollment group.',
  examples: [
    {
      text: 'Shut out every device of a group.',
      command: 'iot dps enrollment-group update --dps-name dps-local --enrollment-id sensors --provisioning-status disabled',
    },
    {
      text: 'Replace the primary certificate and remove the secondary one.',
      command:
        'iot dps enrollment-group update -n dps-local --eid sensors --certificate-path ./new.cert.pem --remove-secondary-certificate --etag AAAAAAAAAAA=',
    },
  ],
  options: { groupId, ...certificateOptions, ...caOptions, ...keyOptions, ...enrollmentSettings, ...updateOptions, ...dpsTarget },
  async run(values, context) {
    const service = await openDps(values, context);
    const path = groupPath(values.groupId);
    const current = await readEntry(service, path);
    const attestation = await changeAttestation(values, { service, path, current: objectAt(current, 'attestation') });
    const body: JsonObject = { ...current, attestation, ...(await changedSettings(values, current)) };
    return service.send({ method: 'PUT', path, body, ifMatch: values.etag ?? '*', headers: readmitHeaders(values.readmit) });
  },
});

interface AttestationChange extends CertificateChange {
  readonly rootCaName: string | undefined;
  readonly secondaryRootCaName: string | undefined;
  readonly primaryKey: string | undefined;
  readonly secondaryKey: string | undefined;
}

interface Place {
  readonly service: ServiceClient;
  readonly path: string;
  readonly current: JsonObject;
}

async function changeAttestation(values: AttestationChange, { service, path, current }: Place): Promise<JsonObject> {
  const { rootCaName: primary, secondaryRootCaName: secondary } = values;
  const byPath = values.certificatePath !== undefined || values.secondaryCertificatePath !== undefined;
  const byName = primary !== undefined || secondary !== undefined;
  const removes = values.removeCertificate === true || values.removeSecondaryCertificate === true;
  if (byPath && byName) throw usageError('Provide either certificate paths or CA names, not both.');
  if (current['type'] === 'symmetricKey') {
    if (byPath || byName || removes)
      throw usageError('This group has the attestation type symmetricKey, so it has no certificates to change.');
    return changeKeys(await readKeys(service, path), values.primaryKey, values.secondaryKey);
  }
  if (values.primaryKey !== undefined || values.secondaryKey !== undefined) {
    throw usageError('This group has the attestation type x509, so it cannot be given symmetric keys.');
  }
  const refersByName = objectAt(current, 'x509')['caReferences'] !== undefined;
  if (byName || (refersByName && !byPath)) return changeReferences(current, { primary, secondary }, values);
  return changeCertificates(current, 'signingCertificates', values);
}
