import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { openEventDelivery, type EventDelivery } from '../../../src/events/delivery.ts';
import type { DeliveryResult, EventWebhook } from '../../../src/events/ports.ts';
import { instant, milliseconds, minutes, seconds } from '../../../src/kernel/clock.ts';
import { openSqlStore, type SqlStore } from '../../../src/stores/sql/store.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { noon } from '../../fixtures/pki/make-certificate.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';

let store: SqlStore;
let clock: FakeClock;
let delivery: EventDelivery | undefined;
const log = new RecordingLog();
beforeEach(async () => {
  clock = new FakeClock(instant(noon));
  store = await openSqlStore({ path: ':memory:', log, clock });
});
afterEach(async () => {
  await delivery?.close();
  delivery = undefined;
  await store.close();
});

const elapsed = milliseconds(1);
const taken: DeliveryResult = { kind: 'taken', status: 204, elapsed };
const failed: DeliveryResult = { kind: 'failed', detail: 'It answered with the status 500.', elapsed };

/** Answers what a test says, and remembers what it was sent. */
class ScriptedWebhook implements EventWebhook {
  readonly sent: { readonly sequence: number; readonly body: string }[] = [];
  answer: (sequence: number) => DeliveryResult | Promise<DeliveryResult> = () => taken;
  async send({ sequence, body }: Parameters<EventWebhook['send']>[0]): Promise<DeliveryResult> {
    this.sent.push({ sequence, body });
    return await this.answer(sequence);
  }
  get sequences(): number[] {
    return this.sent.map(({ sequence }) => sequence);
  }
}

const append = async (n: number): Promise<void> => {
  await store.write((tx) => tx.events.append({ at: clock.now(), kind: 'tripwire', data: { n } }));
  delivery?.ring();
};
const open = (webhook: EventWebhook): EventDelivery => (delivery = openEventDelivery({ storage: store, webhook, clock, log }));

/** Turns of the event loop until it holds; what is awaited are reads and writes of the store. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 5000; turn += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect.fail('it did not come about');
}
const delivered = async (sequence: number): Promise<boolean> => (await store.read.events.delivered()) === sequence;

describe('events', () => {
  test('of before the start and after it are sent in order, once, in the shape of the list', async () => {
    const webhook = new ScriptedWebhook();
    await append(1);
    await append(2);
    open(webhook);
    await until(() => delivered(2));
    await append(3);
    await until(() => delivered(3));
    expect(webhook.sequences).toEqual([1, 2, 3]);
    expect(JSON.parse(webhook.sent[0]?.body ?? '')).toEqual({
      sequence: 1,
      at: new Date(noon).toISOString(),
      kind: 'tripwire',
      data: { n: 1 },
    });
  });

  test('that are not taken are sent again after pauses that grow up to five minutes, and none overtakes them', async () => {
    const webhook = new ScriptedWebhook();
    webhook.answer = () => failed;
    open(webhook);
    await append(1);
    await append(2);
    await until(() => webhook.sent.length === 1 && clock.pending > 0);
    const waits: number[] = [];
    for (let attempt = 2; attempt <= 11; attempt += 1) {
      let waited = 0;
      for (; webhook.sent.length < attempt && waited < 400; waited += 1) {
        clock.advance(seconds(1));
        await settle();
      }
      waits.push(waited);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    expect(new Set(webhook.sequences)).toEqual(new Set([1]));
    expect(await store.read.events.delivered()).toBe(0);
    webhook.answer = () => taken;
    clock.advance(minutes(5));
    await until(() => delivered(2));
    expect(webhook.sequences.slice(-2)).toEqual([1, 2]);
  });

  test('go on after a restart with what was not noted as taken: at least once', async () => {
    const webhook = new ScriptedWebhook();
    webhook.answer = (sequence) => (sequence === 1 ? taken : failed);
    open(webhook);
    await append(1);
    await append(2);
    await until(() => webhook.sequences.includes(2));
    await delivery?.close();
    const other = new ScriptedWebhook();
    open(other);
    await until(() => delivered(2));
    expect(other.sequences).toEqual([2]);
  });

  test('that were forgotten meanwhile leave a gap', async () => {
    const webhook = new ScriptedWebhook();
    for (const n of [1, 2, 3]) await append(n);
    await store.write((tx) => tx.events.prune({ before: instant(0), keep: 1 }));
    open(webhook);
    await until(() => delivered(3));
    expect(webhook.sequences).toEqual([3]);
  });

  test('are not waited for at the end, and a call that was ended is no failure of the webhook', async () => {
    const webhook = new ScriptedWebhook();
    webhook.answer = () => failed;
    open(webhook);
    await append(1);
    await until(() => webhook.sent.length === 1);
    await delivery?.close();
    expect(await store.read.events.delivered()).toBe(0);
  });
});

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
