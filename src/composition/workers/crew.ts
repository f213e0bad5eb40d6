import { createServer } from 'node:net';

import { createChannelEnd, createRelay } from '../../bus/relay.ts';
import { createTopics, type Topics } from '../../bus/topics.ts';
import type { Config } from '../../config/config.ts';
import { type Cancel, type Clock, type Instant, type Milliseconds, milliseconds, seconds } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { ServerCredentials } from '../../transports/tls/engine/listener.ts';
import type { OpenDoors } from '../doors.ts';
import type { FromWorker } from './messages.ts';
import type { StartWorker, WorkerProcess } from './worker-process.ts';

/** The processes of a service: this one, which does what there must be one of, and those that serve devices. */
export interface Crew {
  /** What all of them tell each other. */
  readonly topics: Topics;
  /** Starts the workers; resolves when all have opened their doors. Throws `ServiceError` with a sentence for the operator. */
  openDoors(credentials: ServerCredentials): Promise<OpenDoors>;
  /** Calls back when a worker has ended that was not told to. */
  onLost(listener: () => void): void;
}

export interface CrewDependencies {
  readonly config: Config;
  readonly count: number;
  readonly startWorker: StartWorker;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The member that is this process. */
const own = 'service';
/** A worker that ends sooner after its start than this is not replaced at once. */
const shortLife = seconds(10);
const longestPause = seconds(30);
/** To close its connections and to write what it has accepted. */
const closePatience = seconds(20);

interface Hand {
  readonly process: WorkerProcess;
  readonly startedAt: Instant;
  readonly opened: Promise<Omit<OpenDoors, 'renew' | 'close'>>;
  readonly ended: Promise<void>;
  hasOpened?: boolean;
}

export function createCrew(deps: CrewDependencies): Crew {
  const relay = createRelay();
  const end = createChannelEnd((message) => relay.tell(own, message));
  relay.add(own, (event) => end.receive(event));
  const lost: (() => void)[] = [];
  return {
    topics: createTopics(end),
    onLost: (listener) => void lost.push(listener),
    async openDoors(credentials) {
      const config = { ...deps.config, ports: await fixedPorts(deps.config) };
      const hands = new Hands({ ...deps, config }, { credentials, relay, onLost: () => lost.forEach((listener) => listener()) });
      try {
        const opened = await hands.start();
        return { ...opened, renew: (fresh) => hands.renew(fresh), close: () => hands.close() };
      } catch (error) {
        await hands.close();
        throw error;
      }
    },
  };
}

/** The workers that there are, and those that come after them. */
class Hands {
  readonly #deps: CrewDependencies;
  readonly #relay: ReturnType<typeof createRelay>;
  readonly #onLost: () => void;
  readonly #hands = new Set<Hand>();
  readonly #pauses = new Set<Cancel>();
  #credentials: ServerCredentials;
  #started = 0;
  /** Workers that ended soon after their start, one after the other. */
  #shortLives = 0;
  #isUp = false;
  #isClosing = false;

  constructor(
    deps: CrewDependencies,
    given: { readonly credentials: ServerCredentials; readonly relay: ReturnType<typeof createRelay>; readonly onLost: () => void },
  ) {
    this.#deps = deps;
    this.#relay = given.relay;
    this.#onLost = given.onLost;
    this.#credentials = given.credentials;
  }

  /** One first: what it says of its ports holds for all of them. */
  async start(): Promise<Omit<OpenDoors, 'renew' | 'close'>> {
    const first = await this.#add().opened;
    const others = Array.from({ length: this.#deps.count - 1 }, () => this.#add().opened);
    await Promise.all(others);
    this.#isUp = true;
    return first;
  }

  renew(credentials: ServerCredentials): void {
    this.#credentials = credentials;
    for (const { process } of this.#hands) process.send({ kind: 'renew', credentials });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const cancel of this.#pauses) cancel();
    const hands = [...this.#hands];
    for (const { process } of hands) process.send({ kind: 'close' });
    const cancel = this.#deps.clock.after(closePatience, () => {
      this.#deps.log.error('worker.close-slow', { workers: this.#hands.size });
      for (const { process } of this.#hands) process.kill();
    });
    await Promise.all(hands.map(({ ended }) => ended));
    cancel();
  }

  #add(): Hand {
    const { startWorker, clock } = this.#deps;
    this.#started += 1;
    const member = `worker-${this.#started}`;
    const process = startWorker();
    const ended = new Promise<number | string>((resolve) => process.onExit(resolve));
    const opened = new Promise<FromWorker & { readonly kind: 'opened' }>((resolve, reject) => {
      process.onMessage((message) => {
        if (message.kind === 'tell') this.#relay.tell(member, message.message);
        else if (message.kind === 'listening') this.#welcome(member, process);
        else if (message.kind === 'opened') resolve(message);
        else reject(new ServiceError('ServerBusy', message.sentence));
      });
      void ended.then((cause) =>
        reject(new ServiceError('ServerError', `A worker process ended (${cause}) before it was ready; its log says why.`)),
      );
    });
    const hand: Hand = { process, startedAt: clock.now(), opened, ended: ended.then((cause) => this.#over(hand, member, cause)) };
    opened.then(
      () => (hand.hasOpened = true),
      (error: unknown) => {
        // The first ones are waited for by the start, which says it; nobody waits for one that replaces another.
        if (this.#isUp && !this.#isClosing) this.#deps.log.error('worker.not-opened', { worker: member, error });
      },
    );
    this.#hands.add(hand);
    return hand;
  }

  #welcome(member: string, process: WorkerProcess): void {
    process.send({ kind: 'open', config: this.#deps.config, credentials: this.#credentials });
    if (this.#isClosing) process.send({ kind: 'close' });
    this.#relay.add(member, (event) => process.send({ kind: 'heard', event }));
  }

  #over(hand: Hand, member: string, cause: number | string): void {
    this.#hands.delete(hand);
    this.#relay.remove(member);
    // One that never opened its doors ends the start.
    if (this.#isClosing || !(this.#isUp || hand.hasOpened)) return;
    const { clock, log } = this.#deps;
    const pause = this.#pauseAfter(hand, clock.now());
    log.error('worker.lost', { worker: member, cause, replacedInMilliseconds: pause });
    this.#onLost();
    const cancel = clock.after(pause, () => {
      this.#pauses.delete(cancel);
      this.#add();
    });
    this.#pauses.add(cancel);
  }

  /** What ends again and again at its start must not keep the machine busy with starting it. */
  #pauseAfter({ startedAt }: Hand, now: Instant): Milliseconds {
    this.#shortLives = now - startedAt < shortLife ? this.#shortLives + 1 : 0;
    return milliseconds(this.#shortLives === 0 ? 0 : Math.min(seconds(1) * 2 ** (this.#shortLives - 1), longestPause));
  }
}

/** Workers cannot agree on "any free port" by themselves, and one that replaces another must have the same. */
async function fixedPorts({ ports, bind }: Config): Promise<Config['ports']> {
  const fix = async (port: Config['ports']['https']): Promise<Config['ports']['https']> =>
    port === 0 ? await freePort(bind[0] ?? '::') : port;
  return { https: await fix(ports.https), mqtt: await fix(ports.mqtt), amqp: await fix(ports.amqp), api: 'off' };
}

async function freePort(host: string): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer().once('error', (error: NodeJS.ErrnoException) => {
      if (host === '::' && /EAFNOSUPPORT|EADDRNOTAVAIL/u.test(error.code ?? '')) resolve(freePort('0.0.0.0'));
      else reject(new ServiceError('ServerBusy', `Address ${host} is not one of this machine's: choose another with --bind ADDRESS.`));
    });
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
