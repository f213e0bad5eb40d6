import type { PresentedCertificateStore } from '../../provisioning/ports.ts';
import { jsonText, keyOf, parseJson } from './columns.ts';
import { prepare } from './prepared.ts';
import type { PresentedCertificateTable, SqlExecutor } from './schema.ts';

/** More need not be named to be believed. */
const found = 10;

const selectChain = prepare((db, at: { readonly instanceKey: string; readonly registrationKey: string }) =>
  db
    .selectFrom('presented_certificate')
    .select('certificates')
    .where('instance_key', '=', at.instanceKey)
    .where('registration_key', '=', at.registrationKey),
);

type ChainKey = Pick<PresentedCertificateTable, 'instance_key' | 'registration_key'>;

const putChain = prepare(
  (db, { at, changed }: { readonly at: ChainKey; readonly changed: Omit<PresentedCertificateTable, keyof ChainKey> }) =>
    db
      .insertInto('presented_certificate')
      .values({ ...at, ...changed })
      .onConflict((conflict) => conflict.columns(['instance_key', 'registration_key']).doUpdateSet(changed)),
);

export function createSqlPresentedCertificateStore(db: SqlExecutor): PresentedCertificateStore {
  return {
    async get(instance, registrationId) {
      const {
        rows: [row],
      } = await selectChain(db, { instanceKey: keyOf(instance), registrationKey: keyOf(registrationId) });
      return row && parseJson(row.certificates).map((text) => new Uint8Array(Buffer.from(text, 'base64')));
    },
    async put(instance, registrationId, { leafSha256, publicKeySha256, certificates }) {
      const changed = {
        leaf_sha256: leafSha256,
        public_key_sha256: publicKeySha256,
        certificates: jsonText(certificates.map((der) => Buffer.from(der).toString('base64'))),
      };
      await putChain(db, { at: { instance_key: keyOf(instance), registration_key: keyOf(registrationId) }, changed });
    },
    async withKey(publicKeySha256) {
      const rows = await db
        .selectFrom('presented_certificate')
        .select('registration_key')
        .where('public_key_sha256', '=', publicKeySha256)
        .orderBy('registration_key')
        .limit(found)
        .execute();
      return rows.map((row) => row.registration_key);
    },
  };
}
