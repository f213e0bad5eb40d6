import { type IdentityIds, identityPath } from '../../../contracts/hub/identity-path.ts';
import type { Hub } from '../../../hub/service.ts';
import { isJsonObject, type Json } from '../../../kernel/json.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { Route } from '../engine/route.ts';
import { hubNameOf } from '../errors.ts';
import { admitToChange, requireJson } from './hub-request.ts';

const policyKeys = ['primaryKey', 'secondaryKey', 'both'] as const;

/** As many identities as the registry takes in one request. */
const maxItems = 100;

/** Renews keys of many identities in one request, as az does (iot-hub.md 6.4); those that fail leave the others renewed. */
export function keyRoutes(hub: Hub): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/devices/keys/regenerate',
      handle: async (request) => {
        const { name, by } = await admitToChange(hub, request, 'RegistryWrite');
        const { policyKey, identities } = readRenewal(await requireJson(request));
        const rotatedKeys = [];
        const errors = [];
        for (const { deviceId: id, moduleId } of identities) {
          const ids = { id, ...(moduleId === undefined ? {} : { moduleId }) };
          try {
            const path = identityPath({ deviceId: id, ...(moduleId === undefined ? {} : { moduleId }) });
            rotatedKeys.push({ ...ids, ...(await by.renewKeys(name, path, policyKey)) });
          } catch (thrown) {
            if (!(thrown instanceof ServiceError)) throw thrown;
            errors.push({ ...ids, errorCode: hubNameOf(thrown.error), errorMessage: thrown.message });
          }
        }
        const status = errors.length === 0 ? 200 : rotatedKeys.length === 0 ? 400 : 207;
        return { status, body: { policyKey, rotatedKeys, errors } };
      },
    },
  ];
}

function readRenewal(body: Json): { readonly policyKey: (typeof policyKeys)[number]; readonly identities: readonly IdentityIds[] } {
  const { policyKey: wanted, devices } = isJsonObject(body) ? body : {};
  const policyKey = policyKeys.find((candidate) => candidate === wanted);
  if (policyKey === undefined) throw new ServiceError('ArgumentInvalid', `The policyKey must be one of ${policyKeys.join(', ')}.`);
  if (!Array.isArray(devices) || devices.length === 0 || devices.length > maxItems) {
    throw new ServiceError('ArgumentInvalid', `The field devices must be an array of 1 to ${maxItems} identities.`);
  }
  return { policyKey, identities: devices.map(readIds) };
}

function readIds(item: Json): IdentityIds {
  const { id, moduleId } = isJsonObject(item) ? item : {};
  if (typeof id !== 'string' || id === '' || id.includes('/')) throw new ServiceError('ArgumentInvalid', 'An item of devices has no id.');
  return { deviceId: id, ...(typeof moduleId === 'string' && moduleId !== '' ? { moduleId } : {}) };
}
