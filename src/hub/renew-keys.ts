import type { IdentityPath } from '../contracts/hub/identity-path.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { type CutDeps, cutAfterCommit, holdingKeys } from './cut.ts';
import { freshKey } from './device-authentication.ts';
import { requireHub, requireIdentity } from './lookup.ts';
import type { Incarnation } from './new-device.ts';
import type { HubStorage } from './ports.ts';
import type { KeyRenewal } from './service.ts';

/** Makes keys of devices and modules anew (chapter 6.4, `keys/regenerate`). What the old key opened is closed with the commit. */
export function createKeyRenewal(deps: CutDeps & Pick<Incarnation, 'ids'> & { readonly storage: HubStorage }): KeyRenewal {
  return async (hub, path: IdentityPath, which) => {
    const { keys, ended } = await deps.storage.write(async (transaction) => {
      const { name } = await requireHub(transaction.hubs, hub);
      const identity = await requireIdentity(transaction, name, path);
      const { type, primaryKey = '', secondaryKey = '' } = identity.authentication;
      if (type !== 'sas') throw new ServiceError('ArgumentInvalid', `'${path}' does not authenticate by symmetric keys.`);
      const renewed = {
        primaryKey: which === 'secondaryKey' ? primaryKey : freshKey(deps.ids),
        secondaryKey: which === 'primaryKey' ? secondaryKey : freshKey(deps.ids),
      };
      const changed = { ...identity, authentication: { type, ...renewed }, etagCounter: identity.etagCounter + 1 };
      await transaction.devices.replace(changed, identity.etagCounter);
      const except = await holdingKeys(transaction, changed);
      const cut = { hub: name, deviceId: path, reason: 'credential-changed', except } as const;
      return { keys: renewed, ended: cutAfterCommit(deps, transaction, cut) };
    });
    await ended();
    return keys;
  };
}
