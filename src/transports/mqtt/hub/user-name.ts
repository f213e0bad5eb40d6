import { isApiVersion } from '../../../contracts/api-version.ts';
import { ServiceError } from '../../../kernel/service-error.ts';

/**
 * Reads `{host}/{clientId}[/][?api-version=…&…]` and returns the host as sent, perhaps with a port (reference 3.1). The
 * client id is compared, not searched for, because ids may contain `?`. The query, and its api-version, may be missing; a
 * malformed api-version is refused. Throws `ArgumentInvalid`.
 */
export function parseHubUserName(userName: string, clientId: string): string {
  const slash = userName.indexOf('/');
  const host = userName.slice(0, Math.max(slash, 0));
  const rest = userName.slice(slash + 1);
  const tail = rest.slice(clientId.length).replace(/^\//u, '');
  if (host === '' || !rest.startsWith(clientId) || (tail !== '' && !tail.startsWith('?'))) {
    throw new ServiceError(
      'ArgumentInvalid',
      'The user name is not {host}/{clientId}/?api-version={version} with the client id of this CONNECT.',
    );
  }
  const apiVersion = tail
    .slice(1)
    .split('&')
    .find((pair) => pair.startsWith(versionKey));
  if (apiVersion !== undefined && !isApiVersion(apiVersion.slice(versionKey.length))) {
    throw new ServiceError('ArgumentInvalid', 'The api-version of the user name is not a date.');
  }
  return host;
}

const versionKey = 'api-version=';
