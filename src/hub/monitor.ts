import { requireHub } from './lookup.ts';
import type { HubStorage, SessionBus } from './ports.ts';
import type { Monitor, MonitoredEvent } from './service.ts';
import { createWaiter } from '../kernel/waiter.ts';

/** Events read at once; a reader that is slow holds no more than these. */
const pageSize = 100;

interface MonitorDeps {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
}

type FollowOptions = Parameters<Monitor['follow']>[1];

/** Stored events, then live ones. Reading begins when the caller begins to iterate. */
export function createMonitor(deps: MonitorDeps): Monitor {
  return { follow: (hub, options) => follow(deps, hub, options) };
}

async function* follow({ storage, bus }: MonitorDeps, hub: string, options: FollowOptions): AsyncGenerator<MonitoredEvent> {
  const { telemetry } = storage.read;
  const { name } = await requireHub(storage.read.hubs, hub);
  const bell = createWaiter();
  // Before the first read, so that nothing that is stored in between goes unheard.
  const stop = bus.listen({ hub: name, about: 'telemetry' }, bell.ring);
  options.signal.addEventListener('abort', bell.ring);
  try {
    let position = options.after ?? (await telemetry.lastSequenceNumber(name));
    while (!options.signal.aborted) {
      const end = await telemetry.lastSequenceNumber(name);
      const page = await telemetry.read(name, { after: position, limit: pageSize, ...deviceOf(options) });
      yield* untilAborted(page, options.signal);
      position = page.at(-1)?.sequenceNumber ?? position;
      if (page.length === pageSize) continue;
      // Other devices' events up to here have been looked through; they are not read again.
      position = Math.max(position, end);
      await bell.next();
    }
  } finally {
    stop();
    options.signal.removeEventListener('abort', bell.ring);
  }
}

function* untilAborted(page: readonly MonitoredEvent[], signal: AbortSignal): Generator<MonitoredEvent> {
  for (const event of page) {
    if (signal.aborted) return;
    yield event;
  }
}

function deviceOf({ deviceId }: FollowOptions): { readonly deviceId?: string } {
  return deviceId === undefined ? {} : { deviceId };
}
