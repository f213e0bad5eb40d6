import { ServiceError } from '../../kernel/service-error.ts';
import type { EnrollmentRow, EnrollmentStore, StoredAttestation, StoredCertificate } from '../../provisioning/ports.ts';
import { keyOf, notNull, pageOf, probeLimit } from './columns.ts';
import { certificateFrom, enrollmentColumnsOf, enrollmentFrom, selectEnrollments, slotsOf } from './enrollment-row.ts';
import { prepare } from './prepared.ts';
import type { SqlExecutor } from './schema.ts';
import { advanceTrustVersion, readTrustVersion } from './trust-versions.ts';

type Kind = EnrollmentRow['kind'];

export function createSqlEnrollmentStore(db: SqlExecutor): EnrollmentStore {
  const find = lookups(db);

  async function fillSlots(row: EnrollmentRow): Promise<void> {
    const slots = slotsOf(row);
    if (slots.length > 0) await db.insertInto('enrollment_certificate').values(slots).execute();
  }

  async function noteChange(kind: Kind, instance: string): Promise<void> {
    if (kind === 'group') await advanceTrustVersion(db, keyOf(instance));
  }

  /** Why a compare-and-set changed nothing. */
  async function refusal(kind: Kind, instance: string, id: string): Promise<ServiceError> {
    return (await find.get(kind, instance, id)) === undefined
      ? new ServiceError('DpsEnrollmentNotFound', `There is no ${nameOf(kind)} "${id}".`)
      : new ServiceError('DpsPreconditionFailed', `The ${nameOf(kind)} "${id}" was changed by someone else.`);
  }

  return {
    ...find,
    async insert(row) {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('enrollment')
        .values(enrollmentColumnsOf(row))
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow();
      if (numInsertedOrUpdatedRows === 0n)
        throw new ServiceError('DpsEnrollmentExists', `The ${nameOf(row.kind)} "${row.id}" exists already.`);
      await fillSlots(row);
      await noteChange(row.kind, row.instance);
    },
    async replace(row, expectedEtag) {
      // The key and the spelling of both names stay those of the creation.
      const { instance_key, kind, enrollment_key, instance: _instance, enrollment_id: _id, ...changed } = enrollmentColumnsOf(row);
      const { numUpdatedRows } = await db
        .updateTable('enrollment')
        .set(changed)
        .where('instance_key', '=', instance_key)
        .where('kind', '=', kind)
        .where('enrollment_key', '=', enrollment_key)
        .$if(expectedEtag !== undefined, (query) => query.where('etag', '=', expectedEtag as string))
        .executeTakeFirstOrThrow();
      if (numUpdatedRows === 0n) throw await refusal(row.kind, row.instance, row.id);
      await db
        .deleteFrom('enrollment_certificate')
        .where('instance_key', '=', instance_key)
        .where('kind', '=', kind)
        .where('enrollment_key', '=', enrollment_key)
        .execute();
      await fillSlots(row);
      await noteChange(row.kind, row.instance);
    },
    async delete(kind, instance, id, expectedEtag) {
      const { numDeletedRows } = await db
        .deleteFrom('enrollment')
        .where('instance_key', '=', keyOf(instance))
        .where('kind', '=', kind)
        .where('enrollment_key', '=', keyOf(id))
        .$if(expectedEtag !== undefined, (query) => query.where('etag', '=', expectedEtag as string))
        .executeTakeFirstOrThrow();
      if (numDeletedRows === 0n) throw await refusal(kind, instance, id);
      await noteChange(kind, instance);
    },
  };
}

const nameOf = (kind: Kind): string => (kind === 'group' ? 'enrollment group' : 'enrollment');

type Lookups = Omit<EnrollmentStore, 'insert' | 'replace' | 'delete'>;

const selectEnrollment = prepare((db, at: { readonly instanceKey: string; readonly kind: Kind; readonly enrollmentKey: string }) =>
  selectEnrollments(db)
    .where('e.instance_key', '=', at.instanceKey)
    .where('e.kind', '=', at.kind)
    .where('e.enrollment_key', '=', at.enrollmentKey),
);

function lookups(db: SqlExecutor): Lookups {
  return {
    async get(kind, instance, id) {
      const {
        rows: [row],
      } = await selectEnrollment(db, { instanceKey: keyOf(instance), kind, enrollmentKey: keyOf(id) });
      return row && enrollmentFrom(row);
    },
    byLeaf: (instance, tbsSha256) =>
      bySlot(db, { instance, kind: 'individual', form: 'clientCertificates', column: 'tbs_sha256', values: [tbsSha256] }),
    groupsBySigningSha256: (instance, sha256s) =>
      bySlot(db, { instance, kind: 'group', form: 'signingCertificates', column: 'sha256', values: sha256s }),
    async groupsByCaName(instance, names) {
      if (names.length === 0) return [];
      const matching = db
        .selectFrom('enrollment_certificate')
        .select('enrollment_key')
        .where('instance_key', '=', keyOf(instance))
        .where('kind', '=', 'group')
        .where('ca_key', 'in', names.map(keyOf));
      const rows = await selectEnrollments(db)
        .where('e.instance_key', '=', keyOf(instance))
        .where('e.kind', '=', 'group')
        .where('e.enrollment_key', 'in', matching)
        .execute();
      return rows.map(enrollmentFrom);
    },
    signingCertificates: (instance) => signingCertificates(db, instance),
    symmetricKeyGroups: (instance) => symmetricKeyGroups(db, instance),
    async list(kind, instance, page) {
      const { after } = page;
      const rows = await selectEnrollments(db)
        .where('e.instance_key', '=', keyOf(instance))
        .where('e.kind', '=', kind)
        .$if(after !== undefined, (query) => query.where('e.enrollment_key', '>', keyOf(after as string)))
        .limit(probeLimit(page))
        .execute();
      return pageOf(rows, page, { key: (row) => row.enrollment_key, item: enrollmentFrom });
    },
    async count(kind, instance, type) {
      const { found } = await db
        .selectFrom('enrollment')
        .select((eb) => eb.fn.countAll().as('found'))
        .where('instance_key', '=', keyOf(instance))
        .where('kind', '=', kind)
        .$if(type !== undefined, (query) => query.where('attestation_type', '=', type as StoredAttestation['type']))
        .executeTakeFirstOrThrow();
      return Number(found);
    },
    trustVersion: (instance) => readTrustVersion(db, keyOf(instance)),
  };
}

interface SlotQuery {
  readonly instance: string;
  readonly kind: Kind;
  readonly form: 'clientCertificates' | 'signingCertificates';
  readonly column: 'sha256' | 'tbs_sha256';
  readonly values: readonly string[];
}

/** Enrollments with one of these certificates in either slot, each once. */
async function bySlot(db: SqlExecutor, { instance, kind, form, column, values }: SlotQuery): Promise<readonly EnrollmentRow[]> {
  if (values.length === 0) return [];
  const { rows } = await selectBySlot[column](db, { instanceKey: keyOf(instance), kind, form, values });
  return rows.map(enrollmentFrom);
}

const selectBySlot = { sha256: preparedBySlot('sha256'), tbs_sha256: preparedBySlot('tbs_sha256') };

function preparedBySlot(column: SlotQuery['column']) {
  return prepare((db, at: Pick<SlotQuery, 'kind' | 'form' | 'values'> & { readonly instanceKey: string }) => {
    const matching = db
      .selectFrom('enrollment_certificate')
      .select('enrollment_key')
      .where('instance_key', '=', at.instanceKey)
      .where('kind', '=', at.kind)
      .where('form', '=', at.form)
      .where(column, 'in', at.values);
    return selectEnrollments(db)
      .where('e.instance_key', '=', at.instanceKey)
      .where('e.kind', '=', at.kind)
      .where('e.enrollment_key', 'in', matching);
  });
}

/** Several groups may hold the same certificate; it is one anchor. */
async function signingCertificates(db: SqlExecutor, instance: string): Promise<readonly StoredCertificate[]> {
  const rows = await db
    .selectFrom('enrollment_certificate')
    .select(['sha256', 'tbs_sha256', 'der'])
    .distinct()
    .where('instance_key', '=', keyOf(instance))
    .where('kind', '=', 'group')
    .where('form', '=', 'signingCertificates')
    .orderBy('sha256')
    .execute();
  return rows.map((row) => notNull(certificateFrom(row)));
}

async function symmetricKeyGroups(db: SqlExecutor, instance: string): Promise<readonly EnrollmentRow[]> {
  const rows = await selectEnrollments(db)
    .where('e.instance_key', '=', keyOf(instance))
    .where('e.kind', '=', 'group')
    .where('e.attestation_type', '=', 'symmetricKey')
    .execute();
  return rows.map(enrollmentFrom);
}
