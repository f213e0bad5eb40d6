import type { Ids } from '../kernel/ids.ts';
import type { Precondition } from '../kernel/precondition.ts';
import { ServiceError } from '../kernel/service-error.ts';

/** Identity etag on the wire: base64 of the counter's decimal digits (chapter 1.2). */
export function renderDeviceEtag(counter: number): string {
  return Buffer.from(String(counter), 'ascii').toString('base64');
}

/** Twin etag on the wire: base64 of the counter as eight bytes, most significant first (chapter 1.4). */
export function renderTwinEtag(counter: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(counter));
  return bytes.toString('base64');
}

/** Where the etag of a new identity starts: nine digits, so that an etag of an earlier incarnation never fits by chance. */
export function firstEtagCounter(ids: Ids): number {
  const draw = Buffer.from(ids.bytes(4)).readUInt32BE();
  return 100_000_000 + (draw % 800_000_000);
}

/** Throws `PreconditionFailed` unless a write under this precondition may change the identity. */
export function requireDeviceEtag({ etagCounter }: { readonly etagCounter: number }, precondition: Precondition): void {
  const current = renderDeviceEtag(etagCounter);
  if (allows(precondition, current)) return;
  throw new ServiceError(
    'PreconditionFailed',
    `Precondition failed: Device version did not match, existing etag: ${current}. Read the device again and repeat the change.`,
  );
}

/** Whether a write under this precondition may change something whose etag is `current`. */
export function allows(precondition: Precondition, current: string): boolean {
  return precondition.kind !== 'etag' || precondition.etag === current;
}
