import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';

const ticksPerMillisecond = 10_000n;
/** .NET ticks (100 ns since 0001-01-01) at the Unix epoch. */
const ticksAtEpoch = 621_355_968_000_000_000n;

/**
 * Makes generation ids: .NET ticks of now as decimal text, growing with every call. The ticks below a millisecond
 * are drawn, so that two makers in the same millisecond differ, too.
 */
export function createGenerations({ clock, ids }: { readonly clock: Clock; readonly ids: Ids }): () => string {
  let last = 0n;
  return () => {
    const below = BigInt(Buffer.from(ids.bytes(4)).readUInt32BE()) % ticksPerMillisecond;
    const now = ticksAtEpoch + BigInt(clock.now()) * ticksPerMillisecond + below;
    last = now > last ? now : last + 1n;
    return String(last);
  };
}
