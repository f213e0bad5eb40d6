import type { Channel } from '../../bus/channel.ts';
import { createTopics } from '../../bus/topics.ts';
import { createWorkersBus } from '../../bus/workers.ts';
import type { Config } from '../../config/config.ts';
import { createClosers } from '../../runtime/closers.ts';
import { joinDataFolder } from '../../runtime/data-folder.ts';
import type { ServerCredentials } from '../../transports/tls/engine/listener.ts';
import { createDeviceDoors } from '../device-doors.ts';
import { joinDomains, type Surroundings } from '../domains.ts';
import { type OpenDoors, openDoors } from '../doors.ts';
import { armed } from '../events.ts';
import { openRecords } from '../records.ts';
import { createNotices } from './notices.ts';
import { workerCount } from './worker-count.ts';

/**
 * A worker, top to bottom: the folder of the service, its store, the bus, the domains, the doors of devices. What there must be
 * one of (webhooks, events, runs, retention, Muster's own API) is the service's. Resolves when its doors are open.
 */
export async function openWorker(
  { config, credentials, channel }: { readonly config: Config; readonly credentials: ServerCredentials; readonly channel: Channel },
  surroundings: Surroundings,
): Promise<OpenDoors> {
  const { clock, log } = surroundings;
  const closers = createClosers(log);
  try {
    const folder = closers.keep(joinDataFolder(config.data));
    const { store } = await openRecords({ folder, as: 'guest', ...surroundings });
    closers.keep(store);
    const topics = createTopics(channel);
    const { refusal, event, rates, allocations } = createNotices(topics);
    const domains = joinDomains({
      ...surroundings,
      config,
      store: armed(store, () => event.ring()),
      bus: createWorkersBus({ topics, clock, log }),
      onRefusal: () => refusal.ring(),
      together: { sharedRates: rates, allocation: { elsewhere: allocations.ask } },
    });
    for (const domain of [domains.provisioning, domains.hub, domains.fleet]) closers.keep(domain);
    topics.open();
    await domains.hub.start('joining');
    const { accept } = await createDeviceDoors({ ...domains, ...surroundings, config }, { closers, share: 1 / workerCount(config) });
    const doors = closers.keep(await openDoors({ config, credentials, accept, log }));
    return { ports: doors.ports, notices: doors.notices, renew: (fresh) => doors.renew(fresh), close: () => closers.close() };
  } catch (error) {
    await closers.close();
    throw error;
  }
}
