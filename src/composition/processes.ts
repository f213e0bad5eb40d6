import { createLocalBus } from '../bus/local.ts';
import { createWorkersBus } from '../bus/workers.ts';
import type { Config } from '../config/config.ts';
import type { SessionBus } from '../hub/ports.ts';
import type { createClosers } from '../runtime/closers.ts';
import type { createApiDoor } from '../transports/http/door.ts';
import { createDeviceDoors } from './device-doors.ts';
import type { DomainDependencies, Domains, Surroundings } from './domains.ts';
import { type OpenDoors, openDoors } from './doors.ts';
import { createCrew } from './workers/crew.ts';
import { createNotices } from './workers/notices.ts';
import { workerCount } from './workers/worker-count.ts';
import { createWorkerStarter } from './workers/worker-process.ts';

/** Which processes a service consists of: this one alone, or this one and its workers. */
export interface Processes {
  readonly bus: SessionBus;
  /** What the domains of this process do together with those of the others. */
  readonly together?: DomainDependencies['together'];
  /** To be called when the domains are joined: what others say from now on is heard. */
  attach(listeners: Listeners): void;
  /** Opens Muster's own API here, and the doors of devices wherever they are served. */
  openDoors(opening: Opening): Promise<OpenDoors>;
}

interface Listeners {
  readonly provisioning: Domains['provisioning'];
  readonly onRefusal: () => void;
  readonly onEvent: () => void;
}

interface Opening {
  readonly domains: Domains;
  readonly api: Awaited<ReturnType<typeof createApiDoor>>;
  readonly credentials: Parameters<typeof openDoors>[0]['credentials'];
  readonly closers: ReturnType<typeof createClosers>;
}

const behind = (api: Opening['api']): Pick<Parameters<typeof openDoors>[0]['accept'], 'api'> => ({
  api: (connection) => api.accept(connection, 'https'),
});

type Given = Surroundings & { readonly config: Config };

export const chooseProcesses = (given: Given): Processes => (workerCount(given.config) === 1 ? alone(given) : withWorkers(given));

function alone(given: Given): Processes {
  const { config, log } = given;
  return {
    bus: createLocalBus(given),
    attach() {},
    async openDoors({ domains, api, credentials, closers }) {
      const { accept } = await createDeviceDoors({ ...domains, ...given }, { closers, share: 1 });
      return await openDoors({ config, credentials, accept: { ...accept, ...behind(api) }, log });
    },
  };
}

/** This process does what there must be one of; the workers serve devices. */
function withWorkers(given: Given): Processes {
  const { config, log } = given;
  const crew = createCrew({ ...given, count: workerCount(config), startWorker: createWorkerStarter() });
  const { refusal, event, rates, allocations } = createNotices(crew.topics);
  return {
    bus: createWorkersBus({ ...given, topics: crew.topics }),
    together: { sharedRates: rates, allocation: { onFullness: (origin, isFull) => allocations.tellFullness(origin, isFull) } },
    attach({ provisioning, onRefusal, onEvent }) {
      refusal.onRing(onRefusal);
      event.onRing(onEvent);
      allocations.onAsked((operation, origin) => provisioning.allocate(operation, origin));
      // What it had begun and told nobody of is in the store.
      crew.onLost(() => void provisioning.recover().catch((error: unknown) => log.error('worker.recover-failed', { error })));
      crew.topics.open();
    },
    async openDoors({ api, credentials }) {
      const own = await openDoors({ config, credentials, accept: behind(api), log });
      try {
        const devices = await crew.openDoors(credentials);
        return {
          ports: { ...devices.ports, ...own.ports },
          notices: [...devices.notices, ...own.notices],
          renew: (fresh) => [devices, own].forEach((doors) => doors.renew(fresh)),
          close: async () => void (await Promise.all([devices.close(), own.close()])),
        };
      } catch (error) {
        await own.close();
        throw error;
      }
    },
  };
}
