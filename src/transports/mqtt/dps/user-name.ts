import { isApiVersion } from '../../../contracts/api-version.ts';
import { limits } from '../../../contracts/limits.ts';
import { ServiceError } from '../../../kernel/service-error.ts';

/** Who a device says it is: `{idScope}/registrations/{registrationId}/api-version={v}[&…]` (reference 1.5.1). */
export interface DpsUserName {
  readonly idScope: string;
  readonly registrationId: string;
  readonly apiVersion: string;
}

const divider = '/registrations/';
const versionKey = 'api-version=';

/**
 * Tells these user names from a hub's, whose query begins with `?`, also where a hub's device is called
 * `registrations`.
 */
export const looksLikeDpsUserName = (userName: string): boolean => /^[^/?]*\/registrations\/(?!\?)(?![^/?]*\/?\?)/u.test(userName);

/** Throws `DpsBadRequest`. Keys after `api-version` are tolerated, encoded or not. */
export function parseDpsUserName(userName: string): DpsUserName {
  const at = userName.indexOf(divider);
  const [registrationId = '', ...rest] = userName.slice(at + divider.length).split('/');
  const idScope = userName.slice(0, Math.max(at, 0));
  const [version = ''] = rest.join('/').split('&');
  if (idScope === '' || registrationId === '' || registrationId.length > limits.registrationIdLength) {
    throw new ServiceError('DpsBadRequest', 'The user name is not {idScope}/registrations/{registrationId}/api-version={version}.');
  }
  const apiVersion = version.slice(versionKey.length);
  if (!version.startsWith(versionKey) || !isApiVersion(apiVersion)) {
    throw new ServiceError('DpsBadRequest', 'The user name names no well-formed api-version.');
  }
  return { idScope, registrationId, apiVersion };
}
