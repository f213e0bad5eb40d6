import type { ServiceClient } from '../../client/service-client.ts';

export type Settlement = 'complete' | 'abandon' | 'reject';

/** Ends the lock of a received message, over the device's HTTPS interface as az does. */
export async function settleMessage(
  service: Pick<ServiceClient, 'send'>,
  { deviceId, etag, settlement }: { readonly deviceId: string; readonly etag: string; readonly settlement: Settlement },
): Promise<void> {
  const path = `/devices/${encodeURIComponent(deviceId)}/messages/deviceBound/${encodeURIComponent(etag)}`;
  if (settlement === 'abandon') await service.send({ method: 'POST', path: `${path}/abandon` });
  else await service.send({ method: 'DELETE', path, ...(settlement === 'reject' ? { query: 'reject=' } : {}) });
}
