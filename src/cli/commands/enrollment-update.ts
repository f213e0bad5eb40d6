import { isJsonObject, type JsonObject } from '../../kernel/json.ts';
import type { ServiceClient } from '../client/service-client.ts';
import { failure, usageError } from '../exit-code.ts';
import { certificatePair, objectAt, withoutMembers } from './enrollment-body.ts';

/** Members that the service computes; sending them back would mean nothing. */
const readOnlyMembers = ['registrationState', 'createdDateTimeUtc', 'lastUpdatedDateTimeUtc'];

/** Reads an entry for change: without what the service computes. */
export async function readEntry(service: ServiceClient, path: string): Promise<JsonObject> {
  const entry = await service.send({ method: 'GET', path });
  if (!isJsonObject(entry)) throw failure('The service answered with something that is not an enrollment.');
  return withoutMembers(entry, readOnlyMembers);
}

/** The attestation with its keys, which a GET does not show and a PUT must not lose. */
export async function readKeys(service: ServiceClient, path: string): Promise<JsonObject> {
  const attestation = await service.send({ method: 'POST', path: `${path}/attestationmechanism` });
  if (!isJsonObject(attestation)) throw failure('The service answered with something that is not an attestation.');
  return attestation;
}

export interface CertificateChange {
  readonly certificatePath: string | undefined;
  readonly secondaryCertificatePath: string | undefined;
  readonly removeCertificate: boolean | undefined;
  readonly removeSecondaryCertificate: boolean | undefined;
}

/** Replaces or removes the certificates in one place of an X.509 attestation; unchanged ones go back as they came. */
export async function changeCertificates(
  attestation: JsonObject,
  place: 'clientCertificates' | 'signingCertificates',
  change: CertificateChange,
): Promise<JsonObject> {
  const named = change.certificatePath !== undefined || change.secondaryCertificatePath !== undefined;
  if (!named && !removesAny(change)) return attestation;
  const kept = removeSlots(objectAt(objectAt(attestation, 'x509'), place), change);
  const pair = { ...kept, ...(await certificatePair(change.certificatePath, change.secondaryCertificatePath)) };
  checkSomethingLeft(pair);
  return { ...attestation, x509: { [place]: pair } };
}

/** The same for references to CA certificates by name. */
export function changeReferences(
  attestation: JsonObject,
  names: { readonly primary: string | undefined; readonly secondary: string | undefined },
  change: CertificateChange,
): JsonObject {
  if (names.primary === undefined && names.secondary === undefined && !removesAny(change)) return attestation;
  const kept = removeSlots(objectAt(objectAt(attestation, 'x509'), 'caReferences'), change);
  const pair = {
    ...kept,
    ...(names.primary === undefined ? {} : { primary: names.primary }),
    ...(names.secondary === undefined ? {} : { secondary: names.secondary }),
  };
  checkSomethingLeft(pair);
  return { ...attestation, x509: { caReferences: pair } };
}

/** Replaces one or both keys of a symmetric key attestation. */
export function changeKeys(attestation: JsonObject, primaryKey: string | undefined, secondaryKey: string | undefined): JsonObject {
  const keys = objectAt(attestation, 'symmetricKey');
  return {
    ...attestation,
    symmetricKey: {
      ...keys,
      ...(primaryKey === undefined ? {} : { primaryKey }),
      ...(secondaryKey === undefined ? {} : { secondaryKey }),
    },
  };
}

function removesAny({ removeCertificate, removeSecondaryCertificate }: CertificateChange): boolean {
  return removeCertificate === true || removeSecondaryCertificate === true;
}

function removeSlots(pair: JsonObject, { removeCertificate, removeSecondaryCertificate }: CertificateChange): JsonObject {
  const removed = [...(removeCertificate === true ? ['primary'] : []), ...(removeSecondaryCertificate === true ? ['secondary'] : [])];
  return withoutMembers(pair, removed);
}

function checkSomethingLeft(pair: JsonObject): void {
  if (Object.keys(pair).length === 0) throw usageError('This would leave the enrollment without any certificate. Provide at least one.');
}
