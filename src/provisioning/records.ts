import type { DeviceRegistrationState } from '../contracts/dps/enrollment.ts';
import type { Page, PageRequest } from '../kernel/page.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { ProvisioningStorage, RegistrationRow } from './ports.ts';
import { expectedEtag } from './precondition-etag.ts';
import { parseQuery } from './query/parse-query.ts';
import { selectPage } from './query/select-page.ts';
import { recordShape } from './query/shapes.ts';
import { renderRecord } from './render-registration.ts';
import type { QueryRequest, RegistrationRecords } from './service.ts';

/** Registration records of the service API (chapter 4.5). Deleting one leaves the identity at its hub alone. */
export function createRecords({ storage }: { readonly storage: ProvisioningStorage }): RegistrationRecords {
  const { registrations } = storage.read;
  return {
    async get(instance, registrationId) {
      const row = await registrations.get(instance, registrationId);
      if (row === undefined) throw new ServiceError('DpsRecordNotFound', 'Registration not found.');
      return renderRecord(row);
    },

    async delete(instance, registrationId, precondition) {
      await storage.write((transaction) => transaction.registrations.delete(instance, registrationId, expectedEtag(precondition)));
    },

    list: (instance, request) => select(request, (slice) => registrations.list(instance, slice)),
    listByGroup: (instance, enrollmentGroupId, request) =>
      select(request, (slice) => registrations.listByGroup(instance, enrollmentGroupId, slice)),
  };
}

async function select(
  { query, ...page }: QueryRequest,
  read: (slice: PageRequest) => Promise<Page<RegistrationRow>>,
): Promise<Page<DeviceRegistrationState>> {
  return await selectPage({
    page,
    shape: recordShape,
    condition: parseQuery(query, recordShape),
    read,
    keyOf: ({ registrationId }) => registrationId,
    render: renderRecord,
  });
}
