import type { OperatorTokenRow, OperatorTokenStore } from '../../operators/ports.ts';
import type { OperatorTokenTable } from './audit-schema.ts';
import { keyOf, withoutNulls } from './columns.ts';
import type { SqlExecutor } from './schema.ts';

export function createSqlOperatorTokenStore(db: SqlExecutor): OperatorTokenStore {
  return {
    async get(id) {
      const row = await db.selectFrom('operator_token').selectAll().where('token_id', '=', id).executeTakeFirst();
      return row && tokenFrom(row);
    },
    async named(name) {
      const rows = await db.selectFrom('operator_token').selectAll().where('name_key', '=', keyOf(name)).orderBy('created_at').execute();
      return rows.map(tokenFrom);
    },
    async list() {
      const rows = await db.selectFrom('operator_token').selectAll().orderBy('name_key').orderBy('created_at').execute();
      return rows.map(tokenFrom);
    },
    async insert(row) {
      await db
        .insertInto('operator_token')
        .values({
          token_id: row.id,
          name_key: keyOf(row.name),
          name: row.name,
          role: row.role,
          secret_sha256: row.secretSha256,
          created_by: row.createdBy,
          created_at: row.createdAt,
          expires_at: row.expiresAt ?? null,
          revoked_at: row.revokedAt ?? null,
        })
        .execute();
    },
    async revoke(id, at) {
      const { numUpdatedRows } = await db
        .updateTable('operator_token')
        .set({ revoked_at: at })
        .where('token_id', '=', id)
        .where('revoked_at', 'is', null)
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
  };
}

function tokenFrom(row: OperatorTokenTable): OperatorTokenRow {
  return {
    id: row.token_id,
    name: row.name,
    role: row.role,
    secretSha256: row.secret_sha256,
    createdBy: row.created_by,
    createdAt: row.created_at,
    ...withoutNulls({ expiresAt: row.expires_at, revokedAt: row.revoked_at }),
  };
}
