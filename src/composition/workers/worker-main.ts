import { createChannelEnd } from '../../bus/relay.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { createPinoLogger } from '../../runtime/pino-logger.ts';
import { randomIds } from '../../runtime/random-ids.ts';
import { systemClock } from '../../runtime/system-clock.ts';
import type { OpenDoors } from '../doors.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { openWorker } from './open-worker.ts';

/** The program of a worker process; `worker-process.ts` starts it, and tells it everything else. */
const tell = (message: FromWorker): void => void process.send?.(message);
const channel = createChannelEnd((message) => tell({ kind: 'tell', message }));
/** Without doors when they could not be opened; the service was told why. */
let opened: Promise<OpenDoors | undefined> | undefined;

// A terminal sends its signals to all processes of a service; the service tells when it is time.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
// Without the service nobody would tell the others what happens here. Devices find the next one.
process.once('disconnect', () => process.exit(1));

process.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'open':
      opened = open(message);
      break;
    case 'heard':
      channel.receive(message.event);
      break;
    case 'renew':
      void opened?.then((doors) => doors?.renew(message.credentials));
      break;
    case 'close':
      void close();
      break;
  }
});

tell({ kind: 'listening' });

async function open({ config, credentials }: Extract<ToWorker, { kind: 'open' }>): Promise<OpenDoors | undefined> {
  const log = createPinoLogger({ level: config.logLevel }).child({ worker: process.pid });
  const surroundings = { clock: systemClock, ids: randomIds, log, pid: process.pid };
  try {
    const doors = await openWorker({ config, credentials, channel }, surroundings);
    tell({ kind: 'opened', ports: doors.ports, notices: doors.notices });
    return doors;
  } catch (error) {
    if (error instanceof ServiceError) tell({ kind: 'failed', sentence: error.message });
    else log.error('worker.start-failed', { error });
    process.exitCode = 1;
    process.disconnect();
    return undefined;
  }
}

async function close(): Promise<void> {
  const doors = await opened;
  await doors?.close();
  process.exit(0);
}
