import type { Kysely, Migration } from 'kysely';

import { parseCertificate } from '../../../pki/certificate.ts';

/** The columns of this migration's time; later ones may have others. */
type Tables = {
  readonly enrollment_certificate: {
    readonly instance_key: string;
    readonly kind: string;
    readonly enrollment_key: string;
    readonly slot: string;
    readonly der: Uint8Array | null;
    readonly tbs_sha256: string | null;
  };
};

/**
 * Leaves are found by their signed part: the SHA-256 of the whole certificate changes when somebody writes its ECDSA
 * signature in the other valid way, and a deny must not be lost with it.
 */
export const leafByTbsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema.alterTable('enrollment_certificate').addColumn('tbs_sha256', 'text').execute();
    await fill(db.withTables<Tables>());
    await db.schema
      .createIndex('enrollment_certificate_tbs')
      .on('enrollment_certificate')
      .columns(['instance_key', 'kind', 'form', 'tbs_sha256'])
      .execute();
  },
};

async function fill(db: Kysely<Tables>): Promise<void> {
  const rows = await db.selectFrom('enrollment_certificate').selectAll().where('der', 'is not', null).execute();
  for (const { instance_key, kind, enrollment_key, slot, der } of rows) {
    if (der === null) continue;
    await db
      .updateTable('enrollment_certificate')
      .set({ tbs_sha256: parseCertificate(der).tbsSha256 })
      .where('instance_key', '=', instance_key)
      .where('kind', '=', kind)
      .where('enrollment_key', '=', enrollment_key)
      .where('slot', '=', slot)
      .execute();
  }
}
