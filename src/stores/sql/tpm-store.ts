import type { TpmStore } from '../../provisioning/ports.ts';
import { keyOf } from './columns.ts';
import type { SqlExecutor } from './schema.ts';

export function createSqlTpmStore(db: SqlExecutor): TpmStore {
  const ofDevice = (instance: string, registrationId: string) =>
    db
      .selectFrom('tpm_storage_root_key')
      .select('storage_root_key')
      .where('instance_key', '=', keyOf(instance))
      .where('registration_key', '=', keyOf(registrationId))
      .orderBy('seen_at', 'desc');
  const newestProven = (instance: string, registrationId: string) =>
    ofDevice(instance, registrationId).clearOrderBy().where('proven_at', 'is not', null).orderBy('proven_at', 'desc').limit(1);
  return {
    async secret(instance) {
      const row = await db.selectFrom('tpm_secret').select('secret').where('instance_key', '=', keyOf(instance)).executeTakeFirst();
      return row?.secret;
    },
    async putSecret(instance, secret) {
      await db
        .insertInto('tpm_secret')
        .values({ instance_key: keyOf(instance), secret })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },
    async storageRootKeys(instance, registrationId) {
      return (await ofDevice(instance, registrationId).execute()).map((row) => row.storage_root_key);
    },
    async rememberStorageRootKey({ instance, registrationId, storageRootKey, at }, keep) {
      const key = { instance_key: keyOf(instance), registration_key: keyOf(registrationId) };
      await db
        .insertInto('tpm_storage_root_key')
        .values({ ...key, storage_root_key: storageRootKey, seen_at: at, proven_at: null })
        .onConflict((conflict) => conflict.columns(['instance_key', 'registration_key', 'storage_root_key']).doUpdateSet({ seen_at: at }))
        .execute();
      await db
        .deleteFrom('tpm_storage_root_key')
        .where('instance_key', '=', key.instance_key)
        .where('registration_key', '=', key.registration_key)
        .where('storage_root_key', 'not in', ofDevice(instance, registrationId).limit(keep))
        .where('storage_root_key', 'not in', newestProven(instance, registrationId))
        .execute();
    },
    async proveStorageRootKey({ instance, registrationId, storageRootKey, at }) {
      await db
        .updateTable('tpm_storage_root_key')
        .set({ proven_at: at })
        .where('instance_key', '=', keyOf(instance))
        .where('registration_key', '=', keyOf(registrationId))
        .where('storage_root_key', '=', storageRootKey)
        .execute();
    },
    async forgetStorageRootKeys(before) {
      const { numDeletedRows } = await db.deleteFrom('tpm_storage_root_key').where('seen_at', '<', before).executeTakeFirstOrThrow();
      return Number(numDeletedRows);
    },
  };
}
