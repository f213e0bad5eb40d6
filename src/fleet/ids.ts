import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';

/** An id that sorts by its time and can be read out on the telephone: `block-0mi3x9k2a-1f2e3d4c`. */
export function sortableId(kind: 'block' | 'receipt' | 'run', { clock, ids }: { readonly clock: Clock; readonly ids: Ids }): string {
  const time = clock.now().toString(36).padStart(9, '0');
  return `${kind}-${time}-${Buffer.from(ids.bytes(4)).toString('hex')}`;
}
