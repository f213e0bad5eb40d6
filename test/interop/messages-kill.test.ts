import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { callHttps } from './harness/https.ts';
import { removeFolder, type RunningService, startService, temporaryFolder } from './harness/service.ts';
import {
  type CloudSender,
  followFeedback,
  liveOverAmqp,
  liveOverMqtt,
  openCloudSender,
  pause,
  type Place,
  policyToken,
  RefusedMessage,
  withService,
} from './harness/storm-clients.ts';

// Messages are sent to devices that lose their connections at random, while the service is killed with SIGKILL at random.
// Every message whose sender was told that it is queued must arrive, in order apart from repetitions, and its feedback say so.
// `MUSTER_TEST_MESSAGES=10000` is the whole storm; by default there are few, so that the suite stays quick.

const count = Number(process.env['MUSTER_TEST_MESSAGES'] ?? 300);
const kills = Math.max(3, Math.round(count / 500));
/** The queue of a device holds fifty; what was taken and given back by a broken connection counts again. */
const window = 25;
const folder = temporaryFolder();
const data = join(folder, 'data');

let service: RunningService;
let ca: string;
/** An object, because loops watch it. */
const progress = { over: false };
const place: Place = { hub: 'localhost', ca: () => ca, service: () => service, isOver: () => progress.over };

/** A device and what became of its messages, which are numbered from 0; each attempt to send one has a number, too. */
class Lane {
  readonly live: typeof liveOverMqtt;
  readonly id: string;
  readonly total: number;
  key = '';
  /** How many were acknowledged to the sender: all below this number. */
  acknowledged = 0;
  /** In the order in which each arrived first. */
  readonly firsts = new Set<number>();
  readonly attemptsSeen = new Set<string>();
  readonly succeeded = new Set<number>();
  repeated = 0;
  /** Those over which something arrived. */
  connections = 0;

  constructor(id: string, live: typeof liveOverMqtt, total: number) {
    this.id = id;
    this.live = live;
    this.total = total;
  }

  /** Lives, breaks its own connection after some messages, sometimes before it acknowledged the last, and comes back. */
  async keepAlive(): Promise<void> {
    while (!progress.over) {
      let left = 3 + Math.floor(Math.random() * 60);
      let isFirst = true;
      const take = (text: string): 'acknowledge' | 'break' => {
        if (isFirst) this.connections += 1;
        isFirst = false;
        this.arrive(text);
        return (left -= 1) <= 0 ? 'break' : 'acknowledge';
      };
      await this.live(place, this, take).catch(() => pause(50));
    }
  }

  private arrive(text: string): void {
    const number = Number(text.split(':')[0]);
    if (this.firsts.has(number)) this.repeated += 1;
    this.firsts.add(number);
    this.attemptsSeen.add(text);
  }

  /** Sends in order until all are acknowledged, as a careful sender does: what failed is sent again under its number. */
  async sendAll(): Promise<void> {
    for (let attempt = 0; this.acknowledged < this.total && !progress.over; attempt += 1) {
      await withService(place, async (client) => {
        const sender = await openCloudSender(client);
        // What was sent before may wait in the queue: it is empty when this one has come through.
        await this.sendOne(sender, attempt);
        await until(() => this.attemptsSeen.has(`${this.acknowledged - 1}:${attempt}`) || !client.is_open());
        await this.sendMany(sender, attempt);
      });
    }
  }

  private async sendOne(sender: CloudSender, attempt: number): Promise<void> {
    for (;;) {
      try {
        await this.send(sender, this.acknowledged, attempt);
        this.acknowledged += 1;
        return;
      } catch (error) {
        if (!(error instanceof RefusedMessage)) throw error;
        await pause(50);
      }
    }
  }

  private async sendMany(sender: CloudSender, attempt: number): Promise<void> {
    const failed: Error[] = [];
    const take = async (number: number): Promise<void> => {
      try {
        await this.send(sender, number, attempt);
        // Outcomes come in the order of the messages: all before this one have been taken, too.
        if (number !== this.acknowledged) throw new RefusedMessage(`${number} was taken, and ${this.acknowledged} was not`);
        this.acknowledged += 1;
      } catch (error) {
        failed.push(error as Error);
      }
    };
    const underWay: Promise<void>[] = [];
    for (let number = this.acknowledged; number < this.total && failed.length === 0; number += 1) {
      await until(() => number - this.firsts.size < window || failed.length > 0);
      underWay.push(take(number));
    }
    await Promise.all(underWay);
    refused.push(...failed.filter((error) => error instanceof RefusedMessage).map(({ message }) => message));
    for (const error of failed.slice(0, 1)) throw error;
  }

  private send(sender: CloudSender, number: number, attempt: number): Promise<void> {
    return sender.send(this.id, `${this.id}/${number}`, `${number}:${attempt}`);
  }

  isDone(): boolean {
    return this.acknowledged >= this.total && this.firsts.size >= this.total && this.succeeded.size >= this.total;
  }
}

const lanes = [new Lane('storm-mqtt', liveOverMqtt, Math.ceil(count / 2)), new Lane('storm-amqp', liveOverAmqp, Math.floor(count / 2))];
const refused: string[] = [];
const otherEnds: string[] = [];

beforeAll(async () => {
  service = await startService(data);
  ca = readFileSync(service.endpoints.ca, 'utf8');
  for (const lane of lanes) {
    const answer = await callHttps({
      method: 'PUT',
      port: service.endpoints.ports.https ?? 0,
      path: `/devices/${lane.id}?api-version=2021-04-12`,
      ca,
      headers: { authorization: policyToken(place).text, 'content-type': 'application/json' },
      body: JSON.stringify({ deviceId: lane.id }),
    });
    const created = JSON.parse(answer.body) as { authentication: { symmetricKey: { primaryKey: string } } };
    lane.key = created.authentication.symmetricKey.primaryKey;
  }
});
afterAll(async () => {
  progress.over = true;
  await service?.stop('SIGKILL');
  removeFolder(folder);
});

test(`${count} messages arrive over ${kills} kills, in order, and feedback says so`, { timeout: 90_000 + count * 300 }, async () => {
  const living = [...lanes.map((lane) => lane.keepAlive()), keepFeedback()];
  const sending = lanes.map((lane) => lane.sendAll());
  for (let kill = 1; kill <= kills; kill += 1) {
    // At random within its share of the messages.
    const threshold = Math.floor(((kill - 1 + Math.random()) * count) / (kills + 1));
    await until(() => lanes.reduce((sum, { firsts }) => sum + firsts.size, 0) >= threshold);
    await service.stop('SIGKILL');
    service = await startService(data);
    expect(service.output()).toMatch(/did not shut down cleanly/u);
  }
  await Promise.all(sending);
  await until(() => lanes.every((lane) => lane.isDone()));
  progress.over = true;
  await Promise.all(living);

  for (const lane of lanes) {
    const all = Array.from({ length: lane.total }, (_, number) => number);
    expect([...lane.firsts]).toEqual(all);
    expect([...lane.succeeded].toSorted((a, b) => a - b)).toEqual(all);
    expect(lane.connections).toBeGreaterThan(lane.total / 63);
  }
  expect({ refused, otherEnds }).toEqual({ refused: [], otherEnds: [] });
  const told = lanes.map(({ id, total, repeated, connections }) => `${id}: ${total}, ${repeated} repeated, ${connections} connections`);
  if (count > 1000) process.stdout.write(`${told.join('; ')}\n`);
});

/** Collects feedback for as long as the test runs. */
async function keepFeedback(): Promise<void> {
  while (!progress.over) {
    await followFeedback(place, ({ originalMessageId, statusCode }) => {
      const [id, number] = originalMessageId.split('/');
      if (statusCode === 'Success') lanes.find((lane) => lane.id === id)?.succeeded.add(Number(number));
      else otherEnds.push(`${originalMessageId} ${statusCode}`);
    });
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await pause(5);
}
