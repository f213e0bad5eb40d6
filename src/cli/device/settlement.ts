/** What becomes of a message that was received over HTTPS. */
export const settlements = ['complete', 'abandon', 'reject'] as const;
export type Settlement = (typeof settlements)[number];

/** Ends the lock of a message, as az does (hub reference, chapter 5). */
export function settlementRequest(order: { readonly deviceId: string; readonly etag: string; readonly settlement: Settlement }): {
  readonly method: 'POST' | 'DELETE';
  readonly path: string;
  readonly query?: string;
} {
  const path = `${inboxPath(order.deviceId)}/${encodeURIComponent(order.etag)}`;
  if (order.settlement === 'abandon') return { method: 'POST', path: `${path}/abandon` };
  return { method: 'DELETE', path, ...(order.settlement === 'reject' ? { query: 'reject=' } : {}) };
}

export const inboxPath = (deviceId: string): string => `/devices/${encodeURIComponent(deviceId)}/messages/deviceBound`;
