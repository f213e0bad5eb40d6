import { type EnrollmentBody, enrollmentGroupBody, individualEnrollmentBody } from '../contracts/dps/enrollment-body.ts';
import type { EnrollmentGroup, IndividualEnrollment } from '../contracts/dps/enrollment.ts';
import { readBody } from '../contracts/dps/read-body.ts';
import { limits } from '../contracts/limits.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Json } from '../kernel/json.ts';
import type { Precondition } from '../kernel/precondition.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { checkIdentifier } from './identifier.ts';
import { requireInstance } from './instances.ts';
import type { EnrollmentRow, ProvisioningStorage, ProvisioningTransaction, RegistrationRow } from './ports.ts';
import { expectedEtag } from './precondition-etag.ts';
import { readEnrollment } from './read-enrollment.ts';
import { renderAttestation, renderGroup, renderIndividual, type Secrets } from './render-enrollment.ts';
import type { Enrollments } from './service.ts';

interface EnrollmentDependencies {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly ids: Ids;
}

/** Everything in which individual enrollments and groups differ. */
interface EnrollmentKind<T> {
  readonly kind: EnrollmentRow['kind'];
  readonly idField: 'registrationId' | 'enrollmentGroupId';
  readonly read: (body: Json) => { readonly id: string | undefined; readonly body: EnrollmentBody };
  readonly render: (row: EnrollmentRow, secrets: Secrets, record?: RegistrationRow) => T;
}

const individual: EnrollmentKind<IndividualEnrollment> = {
  kind: 'individual',
  idField: 'registrationId',
  read: (json) => {
    const body = readBody(individualEnrollmentBody, json);
    return { id: body.registrationId, body };
  },
  render: renderIndividual,
};

const group: EnrollmentKind<EnrollmentGroup> = {
  kind: 'group',
  idField: 'enrollmentGroupId',
  read: (json) => {
    const body = readBody(enrollmentGroupBody, json);
    return { id: body.enrollmentGroupId, body };
  },
  render: renderGroup,
};

/** Individual enrollments of the service API. */
export const createIndividualEnrollments = (deps: EnrollmentDependencies): Enrollments<IndividualEnrollment> =>
  createEnrollments(deps, individual);

/** Enrollment groups of the service API. */
export const createEnrollmentGroups = (deps: EnrollmentDependencies): Enrollments<EnrollmentGroup> => createEnrollments(deps, group);

function createEnrollments<T>(deps: EnrollmentDependencies, type: EnrollmentKind<T>): Enrollments<T> {
  const { kind, render } = type;
  const { read } = deps.storage;
  return {
    async get(instance, id) {
      const row = await requireEnrollment(read, { kind, instance, id });
      return render(row, 'hidden', await recordOf(read, row));
    },

    async put(instance, id, change) {
      const { row, record } = await deps.storage.write((transaction) => put({ deps, type, transaction }, { instance, id, ...change }));
      return render(row, 'shown', record);
    },

    async delete(instance, id, precondition) {
      await deps.storage.write(({ enrollments }) => enrollments.delete(kind, instance, id, expectedEtag(precondition)));
    },

    async list(instance, page) {
      const { items, next } = await read.enrollments.list(kind, instance, page);
      return { items: items.map((row) => render(row, 'hidden')), ...(next === undefined ? {} : { next }) };
    },

    async attestation(instance, id) {
      return renderAttestation((await requireEnrollment(read, { kind, instance, id })).attestation, 'shown');
    },
  };
}

interface Put {
  readonly instance: string;
  readonly id: string;
  readonly body: Json;
  readonly precondition: Precondition;
}

async function put<T>(
  {
    deps,
    type,
    transaction,
  }: { readonly deps: EnrollmentDependencies; readonly type: EnrollmentKind<T>; readonly transaction: ProvisioningTransaction },
  { instance: name, id, body: json, precondition }: Put,
): Promise<{ readonly row: EnrollmentRow; readonly record: RegistrationRow | undefined }> {
  const { kind, idField } = type;
  checkIdentifier(idField, id);
  const { id: bodyId, body } = type.read(json);
  if (bodyId !== undefined && bodyId.toLowerCase() !== id.toLowerCase()) {
    throw new ServiceError('DpsBadRequest', `${idField} in the body differs from the one that the request is addressed to.`);
  }
  const { enrollments, caCertificates, instances } = transaction;
  const instance = (await requireInstance(instances, name)).name;
  const current = await enrollments.get(kind, instance, id);
  checkPrecondition(current, precondition);
  const row = readEnrollment(body, {
    kind,
    instance,
    id,
    current,
    caNames: (await caCertificates.list(instance)).map((ca) => ca.name),
    linkedHubs: await instances.linkedHubs(instance),
    ids: deps.ids,
    at: deps.clock.now(),
  });
  if (kind === 'group') await checkGroupLimit(transaction, row, current);
  if (current === undefined) await enrollments.insert(row);
  else await enrollments.replace(row, expectedEtag(precondition));
  return { row, record: await recordOf(transaction, row) };
}

/** Chapter 4.3: without If-Match a PUT creates only, and one with an entity tag changes only. The store compares the tag. */
function checkPrecondition(current: EnrollmentRow | undefined, { kind }: Precondition): void {
  if (current !== undefined && kind === 'absent') throw new ServiceError('DpsEnrollmentExists', 'Enrollment already exists');
  if (current === undefined && kind === 'etag') throw notFound();
}

async function checkGroupLimit(
  { enrollments }: ProvisioningTransaction,
  row: EnrollmentRow,
  current: EnrollmentRow | undefined,
): Promise<void> {
  const { type } = row.attestation;
  if (current?.attestation.type === type) return;
  const limit = limits.enrollmentGroupsPerAttestation;
  const groups = await enrollments.list('group', row.instance, { limit: 2 * limit + 1 });
  if (groups.items.filter(({ attestation }) => attestation.type === type).length < limit) return;
  throw new ServiceError(
    'DpsQuotaExceeded',
    `There are ${limit} enrollment groups with attestation type ${type} already. Delete one first.`,
  );
}

async function requireEnrollment(
  { enrollments }: Pick<ProvisioningTransaction, 'enrollments'>,
  { kind, instance, id }: Pick<EnrollmentRow, 'kind' | 'instance' | 'id'>,
): Promise<EnrollmentRow> {
  const row = await enrollments.get(kind, instance, id);
  if (row === undefined) throw notFound();
  return row;
}

/** The record of the device with the enrollment's id, while this enrollment is the one that decides about it. */
async function recordOf(
  { registrations }: Pick<ProvisioningTransaction, 'registrations'>,
  { kind, instance, id }: EnrollmentRow,
): Promise<RegistrationRow | undefined> {
  if (kind === 'group') return undefined;
  const record = await registrations.get(instance, id);
  return record?.enrollmentKind === 'individual' && record.enrollmentId.toLowerCase() === id.toLowerCase() ? record : undefined;
}

function notFound(): ServiceError {
  return new ServiceError('DpsEnrollmentNotFound', 'Enrollment not found.');
}
