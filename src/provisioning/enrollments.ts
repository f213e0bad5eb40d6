import { type EnrollmentBody, enrollmentGroupBody, individualEnrollmentBody } from '../contracts/dps/enrollment-body.ts';
import type { EnrollmentGroup, IndividualEnrollment } from '../contracts/dps/enrollment.ts';
import { readBody } from '../contracts/dps/read-body.ts';
import type { Json } from '../kernel/json.ts';
import type { Precondition } from '../kernel/precondition.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { checkIdentifier } from './identifier.ts';
import { requireInstance } from './instances.ts';
import type { EnrollmentRow, ProvisioningStorage, ProvisioningTransaction, RegistrationRow } from './ports.ts';
import { expectedEtag } from './precondition-etag.ts';
import type { Quotas } from './quotas.ts';
import { type ReadmissionDependencies, tellingReadmissions } from './readmission.ts';
import type { Shape } from './query/condition.ts';
import { parseQuery } from './query/parse-query.ts';
import { selectPage } from './query/select-page.ts';
import { groupShape, individualShape } from './query/shapes.ts';
import { readEnrollment } from './read-enrollment.ts';
import { renderAttestation, renderGroup, renderIndividual, type Secrets } from './render-enrollment.ts';
import type { Enrollments, EntryName } from './service.ts';
import { type ShadowDependencies, shadowsOf } from './shadows.ts';

interface EnrollmentDependencies extends ReadmissionDependencies, ShadowDependencies {
  readonly storage: ProvisioningStorage;
  readonly quotas: Quotas;
}

/** Everything in which individual enrollments and groups differ. */
interface EnrollmentKind<T extends object> {
  readonly kind: EnrollmentRow['kind'];
  readonly idField: 'registrationId' | 'enrollmentGroupId';
  readonly read: (body: Json) => { readonly id: string | undefined; readonly body: EnrollmentBody };
  readonly render: (row: EnrollmentRow, secrets: Secrets, record?: RegistrationRow) => T;
  readonly shape: Shape;
}

const individual: EnrollmentKind<IndividualEnrollment> = {
  kind: 'individual',
  idField: 'registrationId',
  read: (json) => {
    const body = readBody(individualEnrollmentBody, json);
    return { id: body.registrationId, body };
  },
  render: renderIndividual,
  shape: individualShape,
};

const group: EnrollmentKind<EnrollmentGroup> = {
  kind: 'group',
  idField: 'enrollmentGroupId',
  read: (json) => {
    const body = readBody(enrollmentGroupBody, json);
    return { id: body.enrollmentGroupId, body };
  },
  render: renderGroup,
  shape: groupShape,
};

/** Individual enrollments of the service API. */
export const createIndividualEnrollments = (deps: EnrollmentDependencies): Enrollments<IndividualEnrollment> =>
  createEnrollments(deps, individual);

/** Enrollment groups of the service API. */
export const createEnrollmentGroups = (deps: EnrollmentDependencies): Enrollments<EnrollmentGroup> => createEnrollments(deps, group);

function createEnrollments<T extends object>(deps: EnrollmentDependencies, type: EnrollmentKind<T>): Enrollments<T> {
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
      await deps.storage.write(async (transaction) => {
        const { enrollments, instances } = transaction;
        const changed = {
          transaction,
          instance: await requireInstance(instances, instance),
          entry: await enrollments.get(kind, instance, id),
        };
        await tellingReadmissions(deps, changed, () => enrollments.delete(kind, instance, id, expectedEtag(precondition)));
      });
    },

    list: async (instance, { query, ...page }) =>
      selectPage({
        page,
        shape: type.shape,
        condition: parseQuery(query, type.shape),
        read: (slice) => read.enrollments.list(kind, instance, slice),
        keyOf: ({ id }) => id,
        render: (row) => render(row, 'hidden'),
      }),

    async shadowed(name, ids) {
      const instance = await requireInstance(read.instances, name);
      const found = new Map<string, readonly EntryName[]>();
      for (const id of ids) {
        const entry = await read.enrollments.get(kind, name, id);
        const shadows = entry === undefined ? [] : await shadowsOf(deps, read, { instance, entry });
        if (shadows.length > 0) found.set(id, shadows);
      }
      return found;
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

async function put<T extends object>(
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
  const found = await requireInstance(instances, name);
  const instance = found.name;
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
  await checkQuota(deps.quotas, transaction, { row, current });
  const store = () => (current === undefined ? enrollments.insert(row) : enrollments.replace(row, expectedEtag(precondition)));
  await tellingReadmissions(deps, { transaction, instance: found, entry: current }, store);
  return { row, record: await recordOf(transaction, row) };
}

/** Chapter 4.3: without If-Match a PUT creates only, and one with an entity tag changes only. The store compares the tag. */
function checkPrecondition(current: EnrollmentRow | undefined, { kind }: Precondition): void {
  if (current !== undefined && kind === 'absent') throw new ServiceError('DpsEnrollmentExists', 'Enrollment already exists');
  if (current === undefined && kind === 'etag') throw notFound();
}

/** Individual enrollments count together, groups by their type of attestation (chapter 6.1). */
async function checkQuota(
  quotas: Quotas,
  { enrollments }: ProvisioningTransaction,
  { row, current }: { readonly row: EnrollmentRow; readonly current: EnrollmentRow | undefined },
): Promise<void> {
  const { kind, instance, attestation } = row;
  if (kind === 'individual') {
    if (current === undefined) await quotas.take('individualEnrollments', instance, () => enrollments.count(kind, instance));
    return;
  }
  if (current?.attestation.type === attestation.type) return;
  const thing = attestation.type === 'x509' ? 'x509EnrollmentGroups' : 'symmetricKeyEnrollmentGroups';
  await quotas.take(thing, instance, () => enrollments.count(kind, instance, attestation.type));
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
