import type { DriftStore, EntryGlance, IdentityGlance, RecordGlance } from '../../fleet/ports.ts';
import type { EnrollmentRow } from '../../provisioning/ports.ts';
import { keyOf, notNull, pageOf, probeLimit, withoutNulls } from './columns.ts';
import type { DeviceTable, RegistrationTable, SqlExecutor } from './schema.ts';

const recordColumns = [
  'instance_key',
  'registration_key',
  'instance',
  'registration_id',
  'etag',
  'enrollment_kind',
  'enrollment_id',
  'status',
  'assigned_hub',
  'device_id',
  'leaf_sha256',
] as const satisfies readonly (keyof RegistrationTable)[];

const identityColumns = [
  'hub_key',
  'device_id',
  'hub',
  'authentication_type',
  'primary_thumbprint',
  'secondary_thumbprint',
  'provisioned',
] as const satisfies readonly (keyof DeviceTable)[];

/** A statement binds a bounded number of values; a slice of a page fits in one. */
const idsAtOnce = 1000;

export function createSqlDriftStore(db: SqlExecutor): DriftStore {
  return {
    async records(page) {
      const after = readKey(page.after);
      const rows = await db
        .selectFrom('registration')
        .select(recordColumns)
        .$if(after !== undefined, (query) =>
          query.where((eb) => eb(eb.refTuple('instance_key', 'registration_key'), '>', eb.tuple(...notUndefined(after)))),
        )
        .orderBy('instance_key')
        .orderBy('registration_key')
        .limit(probeLimit(page))
        .execute();
      return pageOf(rows, page, {
        key: (row) => writeKey(row.instance_key, row.registration_key),
        item: (row) => ({ ...recordFrom(row), key: writeKey(row.instance_key, row.registration_key) }),
      });
    },
    async identities(page) {
      const after = readKey(page.after);
      const rows = await db
        .selectFrom('device')
        .select(identityColumns)
        .where('module_of', 'is', null)
        .$if(after !== undefined, (query) =>
          query.where((eb) => eb(eb.refTuple('hub_key', 'device_id'), '>', eb.tuple(...notUndefined(after)))),
        )
        .orderBy('hub_key')
        .orderBy('device_id')
        .limit(probeLimit(page))
        .execute();
      return pageOf(rows, page, {
        key: (row) => writeKey(row.hub_key, row.device_id),
        item: (row) => ({ ...identityFrom(row), key: writeKey(row.hub_key, row.device_id) }),
      });
    },
    async identitiesOf(hub, deviceIds) {
      const rows = await inSlices(deviceIds, (slice) =>
        db.selectFrom('device').select(identityColumns).where('hub_key', '=', keyOf(hub)).where('device_id', 'in', slice).execute(),
      );
      return rows.map(identityFrom);
    },
    async recordsOf(deviceIds) {
      const rows = await inSlices(deviceIds, (slice) =>
        db.selectFrom('registration').select(recordColumns).where('device_id', 'in', slice).execute(),
      );
      return rows.map(recordFrom);
    },
    entriesOf: (kind, instance, ids) => entriesOf(db, { kind, instance, ids }),
  };
}

async function entriesOf(
  db: SqlExecutor,
  { kind, instance, ids }: { readonly kind: EnrollmentRow['kind']; readonly instance: string; readonly ids: readonly string[] },
): Promise<readonly EntryGlance[]> {
  const keys = ids.map(keyOf);
  const rows = await inSlices(keys, (slice) =>
    db
      .selectFrom('enrollment')
      .select(['enrollment_key', 'instance', 'enrollment_id'])
      .where('instance_key', '=', keyOf(instance))
      .where('kind', '=', kind)
      .where('enrollment_key', 'in', slice)
      .execute(),
  );
  const certificates = await inSlices(keys, (slice) =>
    db
      .selectFrom('enrollment_certificate')
      .select(['enrollment_key', 'sha256'])
      .where('instance_key', '=', keyOf(instance))
      .where('kind', '=', kind)
      .where('form', '=', 'clientCertificates')
      .where('enrollment_key', 'in', slice)
      .execute(),
  );
  const leaves = new Map<string, string[]>();
  for (const { enrollment_key, sha256 } of certificates) {
    leaves.set(enrollment_key, [...(leaves.get(enrollment_key) ?? []), notNull(sha256)]);
  }
  return rows.map(({ enrollment_key, instance: name, enrollment_id }) => {
    return { kind, instance: name, id: enrollment_id, leaves: leaves.get(enrollment_key) ?? [] };
  });
}

async function inSlices<Row>(
  ids: readonly string[],
  select: (slice: readonly string[]) => Promise<readonly Row[]>,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (let first = 0; first < ids.length; first += idsAtOnce) rows.push(...(await select(ids.slice(first, first + idsAtOnce))));
  return rows;
}

type RecordColumns = Pick<RegistrationTable, (typeof recordColumns)[number]>;
type IdentityColumns = Pick<DeviceTable, (typeof identityColumns)[number]>;

function recordFrom(row: RecordColumns): RecordGlance {
  return {
    instance: row.instance,
    registrationId: row.registration_id,
    etag: row.etag,
    enrollmentKind: row.enrollment_kind,
    enrollmentId: row.enrollment_id,
    status: row.status,
    ...withoutNulls({ assignedHub: row.assigned_hub, deviceId: row.device_id, leafSha256: row.leaf_sha256 }),
  };
}

function identityFrom(row: IdentityColumns): IdentityGlance {
  return {
    hub: row.hub,
    deviceId: row.device_id,
    authentication: {
      type: row.authentication_type,
      ...withoutNulls({ primaryThumbprint: row.primary_thumbprint, secondaryThumbprint: row.secondary_thumbprint }),
    },
    ...(row.provisioned === 1 ? { provisioned: true } : {}),
  };
}

/** Two names, neither of which has a line break in it. */
const writeKey = (first: string, second: string): string => `${first}\n${second}`;

function readKey(key: string | undefined): [string, string] | undefined {
  if (key === undefined) return undefined;
  const [first = '', second = ''] = key.split('\n');
  return [first, second];
}

function notUndefined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('bug: a condition was built without its value');
  return value;
}
