import type { SasToken } from '../../access/sas-token.ts';
import { printable } from '../../pki/printable.ts';

/**
 * Why a token is not for this registration; `undefined` when it is. Its resource is `{idScope}/registrations/{registrationId}`,
 * compared without case: IoT Edge writes all of it in lower case (1.7).
 */
export function resourceMismatch(
  { resource }: SasToken,
  wanted: { readonly idScope: string; readonly registrationId: string },
): { readonly reason: string; readonly sentence: string } | undefined {
  const [idScope = '', word = '', id = '', ...rest] = resource.split('/');
  if (word.toLowerCase() !== 'registrations' || id === '' || rest.length > 0) {
    const sentence = `The token is for ${printable(resource)}. Sign one for '${wanted.idScope}/registrations/${wanted.registrationId}'.`;
    return { reason: 'token-resource', sentence };
  }
  if (idScope.toLowerCase() !== wanted.idScope.toLowerCase()) {
    const sentence = `The token is for the id scope ${printable(idScope)}, and '${wanted.idScope}' was asked. Sign one for the id scope of this service.`;
    return { reason: 'token-other-scope', sentence };
  }
  if (id.toLowerCase() === wanted.registrationId.toLowerCase()) return undefined;
  const sentence = `The token is for ${printable(id)}, but '${wanted.registrationId}' wants to register. Ask for the id in the token, or sign another one.`;
  return { reason: 'token-other-id', sentence };
}
