import { beforeEach, expect, test } from 'vitest';

import type { FromWorker, ToWorker } from '../../../src/composition/workers/messages.ts';
import { createCrew } from '../../../src/composition/workers/crew.ts';
import { createNotices } from '../../../src/composition/workers/notices.ts';
import type { WorkerProcess } from '../../../src/composition/workers/worker-process.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { seconds } from '../../../src/kernel/clock.ts';
import { createTopics } from '../../../src/bus/topics.ts';
import { createChannelEnd } from '../../../src/bus/relay.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';

const ports = { https: 5001, mqtt: 5002, amqp: 5003 };
const credentials = { key: 'key', cert: 'cert' };

/** A process that does what the test says. */
class FakeWorker implements WorkerProcess {
  readonly told: ToWorker[] = [];
  wasKilled = false;
  #hear: (message: FromWorker) => void = () => {};
  #exit: (cause: number | string) => void = () => {};

  send(message: ToWorker): void {
    this.told.push(message);
  }
  onMessage(listener: (message: FromWorker) => void): void {
    this.#hear = listener;
  }
  onExit(listener: (cause: number | string) => void): void {
    this.#exit = listener;
  }
  kill(): void {
    this.wasKilled = true;
    this.exit('SIGKILL');
  }
  say(...messages: readonly FromWorker[]): void {
    for (const message of messages) this.#hear(message);
  }
  exit(cause: number | string): void {
    this.#exit(cause);
  }
  kinds(): readonly string[] {
    return this.told.map(({ kind }) => kind);
  }
}

const opened: FromWorker = { kind: 'opened', ports, notices: ['a notice'] };

let clock: FakeClock;
let log: RecordingLog;
let workers: FakeWorker[];
beforeEach(() => {
  clock = new FakeClock();
  log = new RecordingLog();
  workers = [];
});

function create(count = 2) {
  const config = loadConfig({
    environment: {},
    flags: { data: 'data', ports: { https: 5001, mqtt: 5002, amqp: 5003, api: 5004 }, workers: count },
  });
  const startWorker = (): WorkerProcess => {
    const worker = new FakeWorker();
    workers.push(worker);
    return worker;
  };
  return createCrew({ config, count, startWorker, clock, log });
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

async function start() {
  const crew = create();
  crew.topics.open();
  const opening = crew.openDoors(credentials);
  await settle();
  expect(workers).toHaveLength(1);
  workers[0]?.say({ kind: 'listening' }, opened);
  await settle();
  workers[1]?.say({ kind: 'listening' }, opened);
  return { crew, doors: await opening };
}

test('the first worker opens the doors before the others begin, and tells which they are', async () => {
  const { doors } = await start();
  expect([doors.ports, doors.notices, workers.length]).toEqual([ports, ['a notice'], 2]);
  const [opening] = workers[1]?.told ?? [];
  // The service keeps its own API for itself.
  expect(opening).toMatchObject({ kind: 'open', credentials, config: { ports: { ...ports, api: 'off' } } });
  doors.renew({ key: 'new', cert: 'new' });
  for (const { told } of workers) expect(told.at(-1)).toMatchObject({ kind: 'renew', credentials: { key: 'new' } });
});

test('a worker that cannot open its doors ends the start with its sentence, and no process is left', async () => {
  const crew = create();
  const opening = crew.openDoors(credentials);
  await settle();
  workers[0]?.say({ kind: 'listening' }, { kind: 'failed', sentence: 'Port 5001 (https) is taken.' });
  await settle();
  expect(workers[0]?.kinds()).toContain('close');
  workers[0]?.exit(1);
  await expect(opening).rejects.toMatchObject({ error: 'ServerBusy', message: 'Port 5001 (https) is taken.' });
});

test('one that is lost is replaced at once, with the newest certificate; one that is lost again and again after a while', async () => {
  const { crew, doors } = await start();
  let lost = 0;
  crew.onLost(() => (lost += 1));
  doors.renew({ key: 'new', cert: 'new' });
  clock.advance(seconds(60));
  workers[0]?.exit('SIGKILL');
  await settle();
  clock.advance(seconds(0));
  expect([lost, workers.length]).toEqual([1, 3]);
  workers[2]?.say({ kind: 'listening' });
  expect(workers[2]?.told[0]).toMatchObject({ kind: 'open', credentials: { key: 'new' } });
  workers[2]?.exit(1);
  await settle();
  clock.advance(seconds(0));
  expect(workers).toHaveLength(3);
  clock.advance(seconds(1));
  expect(workers).toHaveLength(4);
  workers[3]?.exit(1);
  await settle();
  clock.advance(seconds(1));
  expect(workers).toHaveLength(4);
  clock.advance(seconds(1));
  expect([lost, workers.length]).toEqual([3, 5]);
  expect(log.named('worker.lost')).toMatchObject([{ cause: 'SIGKILL' }, { cause: 1 }, { cause: 1 }]);
});

test('one that is lost while the others still begin is replaced, too', async () => {
  const crew = create();
  const opening = crew.openDoors(credentials);
  await settle();
  workers[0]?.say({ kind: 'listening' }, opened);
  await settle();
  clock.advance(seconds(60));
  workers[0]?.exit('SIGKILL');
  await settle();
  clock.advance(seconds(0));
  expect(workers).toHaveLength(3);
  workers[1]?.say({ kind: 'listening' }, opened);
  expect(await opening).toMatchObject({ ports });
});

test('why one that replaces another could not open its doors is in the log', async () => {
  await start();
  clock.advance(seconds(60));
  workers[0]?.exit('SIGKILL');
  await settle();
  clock.advance(seconds(0));
  workers[2]?.say({ kind: 'listening' }, { kind: 'failed', sentence: 'Port 5001 (https) is taken.' });
  await settle();
  expect(log.named('worker.not-opened')).toMatchObject([{ worker: 'worker-3', error: { message: 'Port 5001 (https) is taken.' } }]);
});

test('closing tells every worker, waits for all, and ends the one that does not end; nobody is replaced', async () => {
  const { doors } = await start();
  let isClosed = false;
  const closing = doors.close().then(() => (isClosed = true));
  expect(workers.map((worker) => worker.kinds().at(-1))).toEqual(['close', 'close']);
  workers[0]?.exit(0);
  await settle();
  expect(isClosed).toBe(false);
  clock.advance(seconds(20));
  await closing;
  expect([workers.map(({ wasKilled }) => wasKilled), workers.length, clock.pending]).toEqual([[false, true], 2, 0]);
});

test('what one tells, the service and the others hear: rates, news, and webhooks to be asked', async () => {
  const { crew } = await start();
  const own = createNotices(crew.topics);
  const end = createChannelEnd((message) => workers[0]?.say({ kind: 'tell', message }));
  for (const message of workers[0]?.told ?? []) if (message.kind === 'heard') end.receive(message.event);
  const topics = createTopics(end);
  const theirs = createNotices(topics);
  topics.open();
  const heard: unknown[] = [];
  own.refusal.onRing(() => heard.push('refusal'));
  own.rates.onTold((drawn) => heard.push(drawn));
  own.allocations.onAsked((operation, origin) => heard.push([operation, origin]));
  for (let time = 0; time < 3; time += 1) theirs.refusal.ring();
  theirs.rates.tell({ rate: 'registration', key: 'dps' });
  theirs.allocations.ask.start({ instance: 'dps', operationId: '1' }, 'https://example.org');
  await settle();
  expect(heard).toEqual([{ rate: 'registration', key: 'dps' }, [{ instance: 'dps', operationId: '1' }, 'https://example.org'], 'refusal']);
  own.allocations.tellFullness('https://example.org', true);
  for (const message of workers[0]?.told.slice(-1) ?? []) if (message.kind === 'heard') end.receive(message.event);
  expect([theirs.allocations.ask.isFull('https://example.org'), theirs.allocations.ask.isFull('https://elsewhere')]).toEqual([true, false]);
});
