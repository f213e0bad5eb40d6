import { ServiceError } from '../../kernel/service-error.ts';
import type { CaCertificateRow, CaCertificateStore } from '../../provisioning/ports.ts';
import { flagOf, keyOf, withoutNulls } from './columns.ts';
import type { CaCertificateTable, SqlExecutor } from './schema.ts';
import { advanceTrustVersion } from './trust-versions.ts';

const caCertificateColumns = [
  'instance_key',
  'name_key',
  'instance',
  'name',
  'etag',
  'der',
  'sha256',
  'is_verified',
  'verification_code',
  'verification_code_expires_at',
  'created_at',
  'updated_at',
] as const satisfies readonly (keyof CaCertificateTable)[];

export function createSqlCaCertificateStore(db: SqlExecutor): CaCertificateStore {
  async function get(instance: string, name: string): Promise<CaCertificateRow | undefined> {
    const row = await db
      .selectFrom('ca_certificate')
      .select(caCertificateColumns)
      .where('instance_key', '=', keyOf(instance))
      .where('name_key', '=', keyOf(name))
      .executeTakeFirst();
    return row && caCertificateFrom(row);
  }

  /** Why a compare-and-set changed nothing. */
  async function refusal(instance: string, name: string): Promise<ServiceError> {
    return (await get(instance, name)) === undefined
      ? new ServiceError('ResourceNotFound', `There is no CA certificate "${name}".`)
      : new ServiceError('DpsPreconditionFailed', `The CA certificate "${name}" was changed by someone else.`);
  }

  return {
    get,
    async list(instance) {
      const rows = await db
        .selectFrom('ca_certificate')
        .select(caCertificateColumns)
        .where('instance_key', '=', keyOf(instance))
        .orderBy('name_key')
        .execute();
      return rows.map(caCertificateFrom);
    },
    async insert(row) {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('ca_certificate')
        .values(caCertificateColumnsOf(row))
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow();
      if (numInsertedOrUpdatedRows === 0n) throw new ServiceError('ResourceExists', `The CA certificate "${row.name}" exists already.`);
      await advanceTrustVersion(db, keyOf(row.instance));
    },
    async replace(row, expectedEtag) {
      // The key and the spelling of both names stay those of the creation.
      const { instance_key, name_key, instance: _instance, name: _name, ...changed } = caCertificateColumnsOf(row);
      const { numUpdatedRows } = await db
        .updateTable('ca_certificate')
        .set(changed)
        .where('instance_key', '=', instance_key)
        .where('name_key', '=', name_key)
        .$if(expectedEtag !== undefined, (query) => query.where('etag', '=', expectedEtag as string))
        .executeTakeFirstOrThrow();
      if (numUpdatedRows === 0n) throw await refusal(row.instance, row.name);
      await advanceTrustVersion(db, instance_key);
    },
    async delete(instance, name, expectedEtag) {
      const { numDeletedRows } = await db
        .deleteFrom('ca_certificate')
        .where('instance_key', '=', keyOf(instance))
        .where('name_key', '=', keyOf(name))
        .$if(expectedEtag !== undefined, (query) => query.where('etag', '=', expectedEtag as string))
        .executeTakeFirstOrThrow();
      if (numDeletedRows === 0n) throw await refusal(instance, name);
      await advanceTrustVersion(db, keyOf(instance));
    },
  };
}

function caCertificateFrom(row: CaCertificateTable): CaCertificateRow {
  return {
    instance: row.instance,
    name: row.name,
    etag: row.etag,
    der: row.der,
    sha256: row.sha256,
    isVerified: row.is_verified === 1,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ...withoutNulls({ verificationCode: row.verification_code, verificationCodeExpiresAt: row.verification_code_expires_at }),
  };
}

function caCertificateColumnsOf(row: CaCertificateRow): CaCertificateTable {
  return {
    instance_key: keyOf(row.instance),
    name_key: keyOf(row.name),
    instance: row.instance,
    name: row.name,
    etag: row.etag,
    der: row.der,
    sha256: row.sha256,
    is_verified: flagOf(row.isVerified),
    verification_code: row.verificationCode ?? null,
    verification_code_expires_at: row.verificationCodeExpiresAt ?? null,
    created_at: row.createdAt,
    updated_at: row.updatedAt,
  };
}
