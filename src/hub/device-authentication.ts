import type { DeviceBody } from '../contracts/hub/device-body.ts';
import type { AuthenticationType } from '../contracts/hub/device.ts';
import { assertNever } from '../kernel/assert-never.ts';
import type { Ids } from '../kernel/ids.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { DeviceRow } from './ports.ts';

type Authentication = DeviceRow['authentication'];
type AuthenticationBody = NonNullable<DeviceBody['authentication']>;

/** Keys have 16 to 64 bytes once decoded (identity registry reference). */
const keyBytes = { minimum: 16, maximum: 64 } as const;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u;
const thumbprint = /^(?:[0-9A-F]{40}|[0-9A-F]{64})$/u;

/**
 * How a device is to authenticate, from the body of a PUT and what is stored. Secrets that the body leaves out are
 * kept, or made when there are none; a change of type drops those of the old type (chapter 6.5). Throws `ArgumentInvalid`.
 */
export function readAuthentication(body: DeviceBody['authentication'], current: Authentication | undefined, ids: Ids): Authentication {
  const given = body ?? {};
  const type = given.type ?? impliedType(given) ?? current?.type ?? 'sas';
  const kept = current?.type === type ? current : undefined;
  switch (type) {
    case 'sas':
      return {
        type,
        primaryKey: readKey('primaryKey', given.symmetricKey?.primaryKey) ?? kept?.primaryKey ?? freshKey(ids),
        secondaryKey: readKey('secondaryKey', given.symmetricKey?.secondaryKey) ?? kept?.secondaryKey ?? freshKey(ids),
      };
    case 'selfSigned':
      return readThumbprints(given, kept);
    case 'certificateAuthority':
    case 'none':
      return { type };
    default:
      return assertNever(type);
  }
}

/** Whether two ways to authenticate accept the same credentials. */
export function sameAuthentication(a: Authentication, b: Authentication): boolean {
  return credentialFields.every((field) => a[field] === b[field]);
}

const credentialFields = ['type', 'primaryKey', 'secondaryKey', 'primaryThumbprint', 'secondaryThumbprint'] as const;

/** Node's service SDK and hand-written bodies leave the type out when it shows from the secrets. */
function impliedType(given: AuthenticationBody): AuthenticationType | undefined {
  const { x509Thumbprint, symmetricKey } = given;
  if (x509Thumbprint?.primaryThumbprint || x509Thumbprint?.secondaryThumbprint) return 'selfSigned';
  if (symmetricKey?.primaryKey || symmetricKey?.secondaryKey) return 'sas';
  return undefined;
}

function readThumbprints(given: AuthenticationBody, kept: Authentication | undefined): Authentication {
  const primary = readThumbprint('primaryThumbprint', given.x509Thumbprint?.primaryThumbprint);
  const secondary = readThumbprint('secondaryThumbprint', given.x509Thumbprint?.secondaryThumbprint);
  if (primary === undefined && secondary === undefined && kept !== undefined) return kept;
  const primaryThumbprint = primary ?? kept?.primaryThumbprint;
  if (primaryThumbprint === undefined) {
    throw new ServiceError(
      'ArgumentInvalid',
      'The field authentication.x509Thumbprint.primaryThumbprint is required when authentication.type is selfSigned.',
    );
  }
  // A primary one without a secondary one takes the secondary one away: there is no other way to revoke it.
  return { type: 'selfSigned', primaryThumbprint, ...(secondary === undefined ? {} : { secondaryThumbprint: secondary }) };
}

function readKey(field: string, value: string | null | undefined): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const size = base64.test(value) ? Buffer.from(value, 'base64').length : 0;
  if (size >= keyBytes.minimum && size <= keyBytes.maximum) return value;
  throw new ServiceError(
    'ArgumentInvalid',
    `The field authentication.symmetricKey.${field} must be base64 of ${keyBytes.minimum} to ${keyBytes.maximum} bytes.`,
  );
}

function readThumbprint(field: string, value: string | null | undefined): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const hex = value.toUpperCase();
  if (thumbprint.test(hex)) return hex;
  throw new ServiceError(
    'ArgumentInvalid',
    `The field authentication.x509Thumbprint.${field} must be the SHA-1 (40) or SHA-256 (64 hexadecimal digits) of the certificate.`,
  );
}

/** 32 bytes in base64. */
export function freshKey(ids: Ids): string {
  return Buffer.from(ids.bytes(32)).toString('base64');
}
