import { limits } from '../contracts/limits.ts';
import { ServiceError } from '../kernel/service-error.ts';

// Chapter 2.1: the alphabet, and a last character that is a letter, a digit or a hyphen.
const identifier = /^[A-Za-z0-9._:-]*[A-Za-z0-9-]$/u;

/** Checks a registration id or the id of an enrollment; `name` is the field as the wire calls it. Throws `DpsBadRequest`. */
export function checkIdentifier(name: 'registrationId' | 'enrollmentGroupId', value: string): void {
  if (value.length <= limits.registrationIdLength && identifier.test(value)) return;
  throw new ServiceError(
    'DpsBadRequest',
    `${name} is not valid: use 1 to ${limits.registrationIdLength} letters, digits and - . _ : with a letter, digit or - at the end.`,
  );
}
