import { expect, test } from 'vitest';

import type { JsonObject } from '../../../src/kernel/json.ts';
import type { DeviceRequest } from '../../../src/provisioning/service.ts';
import { restoreRequest, storeRequest } from '../../../src/provisioning/stored-request.ts';

const bytes = (fill: number): Uint8Array => new Uint8Array(8).fill(fill);
const peer = { transport: 'amqp', remoteAddress: '192.0.2.1' } as const;
const cases: Readonly<Record<string, DeviceRequest['credentials']>> = {
  certificates: { certificates: [bytes(1), bytes(2)] },
  'a token': { certificates: [], sasToken: 'SharedAccessSignature sr=a&sig=b&se=1' },
  'a TPM': { certificates: [], sasToken: 'SharedAccessSignature', tpm: { endorsementKey: bytes(3), storageRootKey: bytes(4) } },
  'a TPM with an enrolled storage root key': { certificates: [], tpm: { endorsementKey: bytes(3) } },
};

test.each(Object.entries(cases))('a request with %s comes back as it was, through JSON', (_, credentials) => {
  const request = { idScope: '0ne1', registrationId: 'dev-1', credentials, peer, apiVersion: '2019-03-31' };
  const stored = JSON.parse(JSON.stringify(storeRequest({ request, payload: { model: [1] } }))) as JsonObject;
  expect(restoreRequest(stored)).toEqual({ request, payload: { model: [1] } });
});
