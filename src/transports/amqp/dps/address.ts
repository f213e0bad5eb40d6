import { parseAddress } from '../engine/address.ts';

/** Whose registration a link is about. */
export interface RegistrationAddress {
  readonly idScope: string;
  readonly registrationId: string;
}

/**
 * Reads `{idScope}/registrations/{registrationId}`, with or without scheme and authority (the C SDK sends them, DPS
 * chapter 1.6.3). `undefined` when it is something else. Which characters an id may have is not judged here.
 */
export function parseRegistrationAddress(address: string): RegistrationAddress | undefined {
  const [idScope, word, registrationId, ...rest] = parseAddress(address).segments;
  if (!idScope || word?.toLowerCase() !== 'registrations' || !registrationId || rest.length > 0) return undefined;
  return { idScope, registrationId };
}
