import { randomBytes } from 'node:crypto';

import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { failure } from '../../exit-code.ts';
import { type Command, defineCommand } from '../../grammar/command.ts';
import { choice, required } from '../../grammar/option.ts';
import { deviceForUpdate, moduleForUpdate } from '../device-body.ts';
import { etagOption } from '../dps-options.ts';
import { hubTarget, openHub, quotedEtag } from '../hub-options.ts';
import { type IdentityKind, identityPathOf } from './kind.ts';

const keyTypes = ['primary', 'secondary', 'both', 'swap'] as const;

export function defineRenewKey({ noun, group, options, example }: IdentityKind): Command {
  const forUpdate = noun === 'module' ? moduleForUpdate : deviceForUpdate;
  return defineCommand({
    name: `${group} renew-key`,
    summary: `Renew the keys of a ${noun}.`,
    details: `A key that is replaced opens nothing from that moment; live connections of the ${noun} end, and it has to connect anew.`,
    examples: [
      { text: 'Renew the primary key.', command: `${group} renew-key -n hub-local ${example} --kt primary` },
      { text: 'Swap the two keys.', command: `${group} renew-key -n hub-local ${example} --kt swap` },
    ],
    options: {
      ...options,
      keyType: required(choice(['--key-type', '--kt'], keyTypes, 'Which key to make anew, or swap to exchange them.')),
      etag: etagOption,
      ...hubTarget,
    },
    async run(values, context) {
      const service = await openHub(values, context);
      const path = identityPathOf(values);
      const identity = await service.send({ method: 'GET', path });
      const authentication = isJsonObject(identity) ? identity['authentication'] : undefined;
      if (!isJsonObject(identity) || !isJsonObject(authentication)) throw failure(`The hub answered with something that is not a ${noun}.`);
      if (authentication['type'] !== 'sas') throw failure(`The ${noun} does not use symmetric keys.`);
      const symmetricKey = renew(authentication['symmetricKey'], values.keyType);
      const body = forUpdate({ ...identity, authentication: { ...authentication, symmetricKey } });
      // Against the identity that was read: another change in between must not be undone.
      const etag = values.etag ?? (typeof identity['etag'] === 'string' ? identity['etag'] : undefined);
      return service.send({ method: 'PUT', path, body, ifMatch: quotedEtag(etag) });
    },
  });
}

function renew(keys: Json | undefined, which: (typeof keyTypes)[number]): JsonObject {
  const { primaryKey = null, secondaryKey = null } = isJsonObject(keys) ? keys : {};
  if (which === 'swap') return { primaryKey: secondaryKey, secondaryKey: primaryKey };
  const fresh = (): string => randomBytes(32).toString('base64');
  return {
    primaryKey: which === 'secondary' ? primaryKey : fresh(),
    secondaryKey: which === 'primary' ? secondaryKey : fresh(),
  };
}
