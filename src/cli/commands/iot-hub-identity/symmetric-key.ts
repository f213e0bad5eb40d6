import { isJsonObject, type Json } from '../../../kernel/json.ts';

/** The symmetric key of a device or module as the hub describes it; `undefined` when it proves itself otherwise. */
export function symmetricKeyOf(identity: Json | undefined, slot: 'primary' | 'secondary' = 'primary'): string | undefined {
  const authentication = isJsonObject(identity) ? identity['authentication'] : undefined;
  const keys = isJsonObject(authentication) ? authentication['symmetricKey'] : undefined;
  const key = isJsonObject(keys) ? keys[`${slot}Key`] : undefined;
  return typeof key === 'string' && key !== '' ? key : undefined;
}
