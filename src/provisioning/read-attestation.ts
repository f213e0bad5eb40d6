import type { AttestationBody, CertificateBody } from '../contracts/dps/enrollment-body.ts';
import { assertNever } from '../kernel/assert-never.ts';
import type { Ids } from '../kernel/ids.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { readCaCertificate, readCertificate } from './certificate-upload.ts';
import type { EnrollmentRow, StoredAttestation, StoredCertificate } from './ports.ts';

export interface AttestationContext {
  readonly kind: EnrollmentRow['kind'];
  /** What the enrollment has now: certificates of which only `info` comes back are kept, and so are keys. */
  readonly current: StoredAttestation | undefined;
  /** Names of the CA certificates that exist. */
  readonly caNames: readonly string[];
  readonly ids: Ids;
}

type X509Body = NonNullable<AttestationBody['x509']>;
type X509Form = keyof X509Body;

const x509Forms = ['clientCertificates', 'signingCertificates', 'caReferences'] as const satisfies readonly X509Form[];
const formsOf: Readonly<Record<EnrollmentRow['kind'], readonly X509Form[]>> = {
  individual: ['clientCertificates', 'caReferences'],
  group: ['signingCertificates', 'caReferences'],
};

/** Turns the attestation of a body into what is stored. Throws `DpsBadRequest` with a sentence that names the field. */
export function readAttestation(body: AttestationBody, context: AttestationContext): StoredAttestation {
  const others = (['x509', 'symmetricKey', 'tpm'] as const).filter((type) => type !== body.type && body[type] !== undefined);
  if (others.length > 0)
    throw bad(`attestation.${others[0]} does not go with attestation.type ${body.type}. Leave it out, or change the type.`);
  switch (body.type) {
    case 'x509':
      return readX509(body.x509 ?? {}, context);
    case 'symmetricKey':
      return readSymmetricKey(body.symmetricKey ?? {}, context);
    case 'tpm':
      return readTpm(body.tpm, context);
    default:
      return assertNever(body.type);
  }
}

function readX509(body: Partial<X509Body>, context: AttestationContext): StoredAttestation {
  const given = x509Forms.filter((form) => body[form] !== undefined);
  const [form] = given;
  const allowed = formsOf[context.kind];
  if (form === undefined || given.length > 1 || !allowed.includes(form)) {
    const what = context.kind === 'group' ? 'An enrollment group' : 'An individual enrollment';
    const found = given.length === 0 ? 'none' : given.join(' and ');
    throw bad(`attestation.x509 is not valid: ${what} takes exactly one of ${allowed.join(' and ')}, and has ${found}.`);
  }
  if (form === 'caReferences') return readReferences(body.caReferences, context);
  const slots = { primary: body[form]?.primary, secondary: body[form]?.secondary };
  const primary = readSlot(`attestation.x509.${form}.primary`, slots.primary, context);
  const secondary = readSlot(`attestation.x509.${form}.secondary`, slots.secondary, context);
  if (primary === undefined && secondary === undefined)
    throw bad(`attestation.x509.${form} has no certificate. Give a primary, a secondary, or both.`);
  return { type: 'x509', form, ...(primary === undefined ? {} : { primary }), ...(secondary === undefined ? {} : { secondary }) };
}

function readSlot(field: string, slot: CertificateBody | undefined, { kind, current }: AttestationContext): StoredCertificate | undefined {
  if (slot?.certificate !== undefined && slot.certificate.trim() !== '') {
    // Client certificates may say CA:TRUE: `openssl req -x509` makes them so.
    const read = kind === 'group' ? readCaCertificate : readCertificate;
    const { der, sha256, tbsSha256 } = read(`${field}.certificate`, slot.certificate);
    return { der, sha256, tbsSha256 };
  }
  // az sends back what it was shown, which is `info` alone (2.5).
  const wanted = slot?.info?.sha256Thumbprint?.toUpperCase();
  if (wanted === undefined) return undefined;
  const kept = storedSlots(current).find(({ sha256 }) => sha256 === wanted);
  if (kept !== undefined) return kept;
  throw bad(`${field}.info names a certificate that this enrollment does not have. Send the certificate itself in ${field}.certificate.`);
}

function storedSlots(current: StoredAttestation | undefined): readonly StoredCertificate[] {
  if (current?.type !== 'x509' || current.form === 'caReferences') return [];
  return [current.primary, current.secondary].filter((slot) => slot !== undefined);
}

// Unknown names are refused: a group that refers to nothing would look as if it let devices in.
function readReferences(body: X509Body['caReferences'], { caNames }: AttestationContext): StoredAttestation {
  const check = (slot: 'primary' | 'secondary'): string | undefined => {
    const name = body?.[slot];
    if (name === undefined || name === '') return undefined;
    const known = caNames.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
    if (known !== undefined) return known;
    throw bad(
      `attestation.x509.caReferences.${slot} names a CA certificate that does not exist. Upload it first, or use the name it was uploaded under.`,
    );
  };
  const [primaryName, secondaryName] = [check('primary'), check('secondary')];
  if (primaryName === undefined && secondaryName === undefined) {
    throw bad('attestation.x509.caReferences names no CA certificate. Give a primary, a secondary, or both.');
  }
  return {
    type: 'x509',
    form: 'caReferences',
    ...(primaryName === undefined ? {} : { primaryName }),
    ...(secondaryName === undefined ? {} : { secondaryName }),
  };
}

/** Bytes of a generated key (2.2). */
const keyBytes = 64;

function readSymmetricKey(
  body: Partial<NonNullable<AttestationBody['symmetricKey']>>,
  { current, ids }: AttestationContext,
): StoredAttestation {
  const key = (slot: 'primaryKey' | 'secondaryKey'): string => {
    const given = body[slot];
    if (given !== undefined && given !== '') return checkKey(`attestation.symmetricKey.${slot}`, given);
    // SDKs put back what they got, which is without keys (4.2): those that are there stay.
    return current?.type === 'symmetricKey' ? current[slot] : Buffer.from(ids.bytes(keyBytes)).toString('base64');
  };
  return { type: 'symmetricKey', primaryKey: key('primaryKey'), secondaryKey: key('secondaryKey') };
}

function checkKey(field: string, key: string): string {
  const length = base64Length(key);
  if (length !== undefined && length >= 16 && length <= keyBytes) return key;
  throw bad(`${field} is not valid: send the base64 of 16 to ${keyBytes} bytes, or leave it out to have one made.`);
}

function readTpm(body: AttestationBody['tpm'], { kind }: AttestationContext): StoredAttestation {
  if (kind === 'group')
    throw bad('attestation.type is not valid: an enrollment group takes x509 or symmetricKey. Enroll devices with a TPM one by one.');
  if (body === undefined || base64Length(body.endorsementKey) === undefined) {
    throw bad('attestation.tpm.endorsementKey is not valid: send the base64 of the public part of the endorsement key.');
  }
  const { endorsementKey, storageRootKey } = body;
  return { type: 'tpm', endorsementKey, ...(storageRootKey === undefined ? {} : { storageRootKey }) };
}

/** How many bytes a base64 text stands for; `undefined` for anything else and for none. */
function base64Length(text: string): number | undefined {
  if (text === '' || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/u.test(text)) return undefined;
  return Buffer.from(text, 'base64').length;
}

function bad(message: string): ServiceError {
  return new ServiceError('DpsBadRequest', message);
}
