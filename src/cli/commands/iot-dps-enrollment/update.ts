import type { JsonObject } from '../../../kernel/json.ts';
import type { ServiceClient } from '../../client/service-client.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { dpsTarget, openDps } from '../dps-options.ts';
import { changedSettings, objectAt } from '../enrollment-body.ts';
import { certificateOptions, enrollmentSettings, keyOptions, updateOptions } from '../enrollment-options.ts';
import { type CertificateChange, changeCertificates, changeKeys, readEntry, readKeys } from '../enrollment-update.ts';
import { readmitHeaders } from '../readmit.ts';
import { readJsonObject } from '../json-argument.ts';
import { deviceId, deviceInformation, endorsementKey, enrollmentId, enrollmentPath, storageRootKey } from './options.ts';
import { jsonText } from '../../json-text.ts';

export const enrollmentUpdate = defineCommand({
  name: 'iot dps enrollment update',
  summary: 'Update an individual device enrollment.',
  examples: [
    {
      text: 'Let a device in again that was shut out.',
      command: 'iot dps enrollment update --dps-name dps-local --enrollment-id disallow-002 --provisioning-status enabled --readmit',
    },
    {
      text: 'Replace the certificate, provided that nobody changed the enrollment meanwhile.',
      command: 'iot dps enrollment update -n dps-local --eid device-001 --certificate-path ./new.cert.pem --etag AAAAAAAAAAA=',
    },
  ],
  options: {
    enrollmentId,
    deviceId,
    deviceInformation,
    endorsementKey,
    storageRootKey,
    ...certificateOptions,
    ...keyOptions,
    ...enrollmentSettings,
    ...updateOptions,
    ...dpsTarget,
  },
  async run(values, context) {
    const service = await openDps(values, context);
    const path = enrollmentPath(values.enrollmentId);
    const current = await readEntry(service, path);
    const attestation = await changeAttestation(values, { service, path, current: objectAt(current, 'attestation') });
    const body: JsonObject = {
      ...current,
      attestation,
      ...(values.deviceId === undefined ? {} : { deviceId: values.deviceId }),
      ...(values.deviceInformation
        ? { optionalDeviceInformation: await readJsonObject(values.deviceInformation, '--device-information') }
        : {}),
      ...(await changedSettings(values, current)),
    };
    return service.send({ method: 'PUT', path, body, ifMatch: values.etag ?? '*', headers: readmitHeaders(values.readmit) });
  },
});

interface AttestationChange extends CertificateChange {
  readonly endorsementKey: string | undefined;
  readonly storageRootKey: string | undefined;
  readonly primaryKey: string | undefined;
  readonly secondaryKey: string | undefined;
}

interface Place {
  readonly service: ServiceClient;
  readonly path: string;
  readonly current: JsonObject;
}

async function changeAttestation(values: AttestationChange, { service, path, current }: Place): Promise<JsonObject> {
  checkFits(values, jsonText(current['type']));
  if (current['type'] === 'tpm') {
    const { endorsementKey: key, storageRootKey: root } = values;
    const given = { ...(key === undefined ? {} : { endorsementKey: key }), ...(root === undefined ? {} : { storageRootKey: root }) };
    return { ...current, tpm: { ...objectAt(current, 'tpm'), ...given } };
  }
  if (current['type'] === 'x509') return changeCertificates(current, 'clientCertificates', values);
  return changeKeys(await readKeys(service, path), values.primaryKey, values.secondaryKey);
}

function checkFits(values: AttestationChange, type: string): void {
  const certificates = [
    values.certificatePath,
    values.secondaryCertificatePath,
    values.removeCertificate,
    values.removeSecondaryCertificate,
  ];
  const uses = [
    { type: 'x509', used: certificates.some((value) => value !== undefined), words: 'certificates' },
    { type: 'symmetricKey', used: values.primaryKey !== undefined || values.secondaryKey !== undefined, words: 'symmetric keys' },
    { type: 'tpm', used: values.endorsementKey !== undefined || values.storageRootKey !== undefined, words: 'keys of a TPM' },
  ];
  const wrong = uses.find((use) => use.used && use.type !== type);
  if (wrong !== undefined) throw usageError(`This enrollment has the attestation type ${type}, so it cannot be given ${wrong.words}.`);
}
