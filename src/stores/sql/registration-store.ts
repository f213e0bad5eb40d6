import type { Page, PageRequest } from '../../kernel/page.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { OperationRow, RegistrationRow, RegistrationStore } from '../../provisioning/ports.ts';
import { jsonTextOrNull, keyOf, pageOf, parseJsonOrNull, probeLimit, withoutNulls } from './columns.ts';
import { prepare } from './prepared.ts';
import type { RegistrationOperationTable, RegistrationTable, SqlExecutor } from './schema.ts';

const registrationColumns = [
  'instance_key',
  'registration_key',
  'instance',
  'registration_id',
  'etag',
  'enrollment_kind',
  'enrollment_key',
  'enrollment_id',
  'status',
  'substatus',
  'assigned_hub',
  'device_id',
  'error_code',
  'error_message',
  'payload',
  'leaf_sha256',
  'tpm_authentication_key',
  'created_at',
  'updated_at',
] as const satisfies readonly (keyof RegistrationTable)[];

const operationColumns = [
  'instance_key',
  'operation_id',
  'instance',
  'registration_id',
  'created_at',
  'outcome',
  'registration_key',
  'tracking_id',
  'request',
] as const satisfies readonly (keyof RegistrationOperationTable)[];

/** One device has a handful; more than these and it is not one device that was asked for. */
const found = 100;

const selectRecord = prepare((db, at: { readonly instanceKey: string; readonly registrationKey: string }) =>
  db
    .selectFrom('registration')
    .select(registrationColumns)
    .where('instance_key', '=', at.instanceKey)
    .where('registration_key', '=', at.registrationKey),
);

const putRecord = prepare((db, { record }: { readonly record: RegistrationTable }) => {
  const { instance_key: _instance, registration_key: _registration, ...changed } = record;
  return db
    .insertInto('registration')
    .values(record)
    .onConflict((conflict) => conflict.columns(['instance_key', 'registration_key']).doUpdateSet(changed));
});

const selectOperation = prepare((db, at: { readonly instanceKey: string; readonly operationId: string }) =>
  db
    .selectFrom('registration_operation')
    .select(operationColumns)
    .where('instance_key', '=', at.instanceKey)
    .where('operation_id', '=', at.operationId),
);

const putOperation = prepare((db, { operation }: { readonly operation: RegistrationOperationTable }) => {
  const { instance_key: _instance, operation_id: _operation, ...changed } = operation;
  return db
    .insertInto('registration_operation')
    .values(operation)
    .onConflict((conflict) => conflict.columns(['instance_key', 'operation_id']).doUpdateSet(changed));
});

export function createSqlRegistrationStore(db: SqlExecutor): RegistrationStore {
  return { ...records(db), ...operations(db), ...recovery(db), find: (by) => find(db, by) };
}

type RecordMethods = 'get' | 'put' | 'delete' | 'list' | 'listByGroup' | 'count';

async function find(db: SqlExecutor, by: Parameters<RegistrationStore['find']>[0]): Promise<readonly RegistrationRow[]> {
  const [column, value] = 'leafSha256' in by ? (['leaf_sha256', by.leafSha256] as const) : (['device_id', by.deviceId] as const);
  const rows = await db
    .selectFrom('registration')
    .select(registrationColumns)
    .where(column, '=', value)
    .orderBy('instance_key')
    .orderBy('registration_key')
    .limit(found)
    .execute();
  return rows.map(registrationFrom);
}

async function pageOfRecords(
  db: SqlExecutor,
  instance: string,
  { group, ...page }: PageRequest & { readonly group?: string },
): Promise<Page<RegistrationRow>> {
  const { after } = page;
  const rows = await db
    .selectFrom('registration')
    .select(registrationColumns)
    .where('instance_key', '=', keyOf(instance))
    .$if(group !== undefined, (query) => query.where('enrollment_kind', '=', 'group').where('enrollment_key', '=', keyOf(group as string)))
    .$if(after !== undefined, (query) => query.where('registration_key', '>', keyOf(after as string)))
    .orderBy('registration_key')
    .limit(probeLimit(page))
    .execute();
  return pageOf(rows, page, { key: (row) => row.registration_key, item: registrationFrom });
}

function records(db: SqlExecutor): Pick<RegistrationStore, RecordMethods> {
  async function get(instance: string, registrationId: string): Promise<RegistrationRow | undefined> {
    const {
      rows: [row],
    } = await selectRecord(db, { instanceKey: keyOf(instance), registrationKey: keyOf(registrationId) });
    return row && registrationFrom(row);
  }
  return {
    get,
    async put(row) {
      await putRecord(db, { record: registrationColumnsOf(row) });
    },
    async delete(instance, registrationId, expectedEtag) {
      const { numDeletedRows } = await db
        .deleteFrom('registration')
        .where('instance_key', '=', keyOf(instance))
        .where('registration_key', '=', keyOf(registrationId))
        .$if(expectedEtag !== undefined, (query) => query.where('etag', '=', expectedEtag as string))
        .executeTakeFirstOrThrow();
      if (numDeletedRows > 0n) return;
      throw (await get(instance, registrationId)) === undefined
        ? new ServiceError('DpsRecordNotFound', `There is no registration record "${registrationId}".`)
        : new ServiceError('DpsPreconditionFailed', `The registration record "${registrationId}" was changed by someone else.`);
    },
    list: (instance, page) => pageOfRecords(db, instance, page),
    listByGroup: (instance, enrollmentGroupId, page) => pageOfRecords(db, instance, { ...page, group: enrollmentGroupId }),
    async count(instance) {
      const { found } = await db
        .selectFrom('registration')
        .select((eb) => eb.fn.countAll().as('found'))
        .where('instance_key', '=', keyOf(instance))
        .executeTakeFirstOrThrow();
      return Number(found);
    },
  };
}

type RecoveryMethods = 'unfinishedOperations' | 'endRequestlessOperations';

function recovery(db: SqlExecutor): Pick<RegistrationStore, RecoveryMethods> {
  return {
    async unfinishedOperations(page) {
      const [instanceKey, operationId] = splitOperationKey(page.after);
      const rows = await db
        .selectFrom('registration_operation')
        .select(['instance', 'instance_key', 'operation_id'])
        .where('outcome', 'is', null)
        .where('request', 'is not', null)
        .where((where) =>
          where.or([
            where('instance_key', '>', instanceKey),
            where.and([where('instance_key', '=', instanceKey), where('operation_id', '>', operationId)]),
          ]),
        )
        .orderBy('instance_key')
        .orderBy('operation_id')
        .limit(probeLimit(page))
        .execute();
      return pageOf(rows, page, {
        key: (row) => `${row.instance_key}\n${row.operation_id}`,
        item: (row) => ({ instance: row.instance, operationId: row.operation_id }),
      });
    },
    async endRequestlessOperations() {
      const { numUpdatedRows } = await db
        .updateTable('registration_operation')
        .set({ outcome: 'done' })
        .where('outcome', 'is', null)
        .where('request', 'is', null)
        .executeTakeFirstOrThrow();
      return Number(numUpdatedRows);
    },
  };
}

function operations(db: SqlExecutor): Omit<RegistrationStore, RecordMethods | RecoveryMethods | 'find'> {
  return {
    async getOperation(instance, operationId) {
      const {
        rows: [row],
      } = await selectOperation(db, { instanceKey: keyOf(instance), operationId });
      return row && operationFrom(row);
    },
    async putOperation(row) {
      await putOperation(db, { operation: operationColumnsOf(row) });
    },
    async runningOperation(instance, registrationId) {
      const row = await db
        .selectFrom('registration_operation')
        .select(operationColumns)
        .where('outcome', 'is', null)
        .where('instance_key', '=', keyOf(instance))
        .where('registration_key', '=', keyOf(registrationId))
        .executeTakeFirst();
      return row && operationFrom(row);
    },
    async forgetOperations(before) {
      const { numDeletedRows } = await db
        .deleteFrom('registration_operation')
        .where('outcome', 'is not', null)
        .where('created_at', '<', before)
        .executeTakeFirstOrThrow();
      return Number(numDeletedRows);
    },
  };
}

/** Neither half has a line break. Every key comes after the empty one. */
function splitOperationKey(after = ''): readonly [string, string] {
  const [instanceKey = '', operationId = ''] = after.split('\n');
  return [instanceKey, operationId];
}

function registrationFrom(row: RegistrationTable): RegistrationRow {
  return {
    instance: row.instance,
    registrationId: row.registration_id,
    etag: row.etag,
    enrollmentKind: row.enrollment_kind,
    enrollmentId: row.enrollment_id,
    status: row.status,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ...withoutNulls({
      substatus: row.substatus,
      assignedHub: row.assigned_hub,
      deviceId: row.device_id,
      errorCode: row.error_code,
      errorMessage: row.error_message,
      payload: parseJsonOrNull(row.payload),
      leafSha256: row.leaf_sha256,
      tpmAuthenticationKey: row.tpm_authentication_key,
    }),
  };
}

function registrationColumnsOf(row: RegistrationRow): RegistrationTable {
  return {
    instance_key: keyOf(row.instance),
    registration_key: keyOf(row.registrationId),
    instance: row.instance,
    registration_id: row.registrationId,
    etag: row.etag,
    enrollment_kind: row.enrollmentKind,
    enrollment_key: keyOf(row.enrollmentId),
    enrollment_id: row.enrollmentId,
    status: row.status,
    substatus: row.substatus ?? null,
    assigned_hub: row.assignedHub ?? null,
    device_id: row.deviceId ?? null,
    error_code: row.errorCode ?? null,
    error_message: row.errorMessage ?? null,
    payload: jsonTextOrNull(row.payload),
    leaf_sha256: row.leafSha256 ?? null,
    tpm_authentication_key: row.tpmAuthenticationKey ?? null,
    created_at: row.createdAt,
    updated_at: row.updatedAt,
  };
}

function operationFrom(row: RegistrationOperationTable): OperationRow {
  return {
    instance: row.instance,
    operationId: row.operation_id,
    registrationId: row.registration_id,
    createdAt: row.created_at,
    ...withoutNulls({ outcome: row.outcome, trackingId: row.tracking_id, request: parseJsonOrNull(row.request) }),
  };
}

function operationColumnsOf(row: OperationRow): RegistrationOperationTable {
  return {
    instance_key: keyOf(row.instance),
    operation_id: row.operationId,
    instance: row.instance,
    registration_id: row.registrationId,
    created_at: row.createdAt,
    outcome: row.outcome ?? null,
    registration_key: keyOf(row.registrationId),
    tracking_id: row.trackingId ?? null,
    request: jsonTextOrNull(row.request),
  };
}
