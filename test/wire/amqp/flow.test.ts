import { afterEach, beforeEach, expect, test } from 'vitest';
import { amqpHeader, frame, RawPeer, rheaMessage, sections, source, target, until } from './raw-peer.ts';
import { hubHost, leafOf, openService, type TestService } from './service.ts';

/** Flow control as AMQP 1.0 part 2.5.6 and 2.6.7 have it: credit, drain, echo, and the windows of a session. */

let service: TestService;
let peer: RawPeer;
beforeEach(async () => {
  service = await openService();
  await service.addDevice('d1', leaf);
  peer = new RawPeer(service.dial({ certificate: leaf, serverName: hubHost }));
});
afterEach(async () => await service.close());

const leaf = leafOf('d1');
const messages = {
  name: 'messages',
  handle: 0,
  role: true,
  source: source('/devices/d1/messages/devicebound'),
  target: target('d1'),
};
const twin = (handle: number, role: boolean) => ({
  name: `twin-${handle}`,
  handle,
  role,
  snd_settle_mode: 1,
  rcv_settle_mode: 0,
  ...(role ? {} : { initial_delivery_count: 0 }),
  source: source(role ? '/devices/d1/twin' : 'd1'),
  target: target(role ? 'd1' : '/devices/d1/twin'),
});

async function turns(count = 60): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The state of the session as this peer sees it, and of a link when there is a handle. */
const flow = (fields: Record<string, unknown>): void =>
  peer.send('flow', { next_incoming_id: 0, incoming_window: 5000, next_outgoing_id: 1, outgoing_window: 5000, ...fields });

async function send(...texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    await service.hub.cloudToDevice.send('hub-a', 'd1', { body: Buffer.from(text), systemProperties: {}, applicationProperties: {} });
  }
}

/** What came on one link, whole or in pieces. */
const texts = (handle = 0): readonly string[] =>
  peer
    .named('transfer')
    .filter(({ fields }) => fields[0]?.value === handle)
    .map(({ payload }) => sections(payload).get(0x75)?.value.toString());

/** The link state of a FLOW: handle, delivery-count, link-credit, drain. */
const linkFlows = (handle: number) =>
  peer
    .named('flow')
    .filter(({ fields }) => fields[4]?.value === handle)
    .map(({ fields }) => ({ deliveryCount: fields[5]?.value, credit: fields[6]?.value, drain: fields[8]?.value ?? false }));

async function openMessages(): Promise<void> {
  await peer.open({ hostname: hubHost });
  peer.send('attach', messages);
  await peer.next('attach');
}

/** A GET of the twin whose answer shows that other links of the session go on. */
async function openTwin(): Promise<(id: string) => void> {
  peer.send('attach', twin(1, true));
  peer.send('attach', twin(2, false));
  await peer.next('attach', 3);
  return (id) => void peer.transfer(2, { correlation_id: id, message_annotations: { operation: 'GET' } }, true);
}

test('a FLOW on the heels of ATTACH cannot know our counts yet, and leaves them out', async () => {
  await send('a', 'b');
  peer.write(
    Buffer.concat([
      amqpHeader,
      frame('open', { container_id: 'raw', hostname: hubHost }),
      frame('begin', { next_outgoing_id: 1, incoming_window: 5000, outgoing_window: 5000 }),
      frame('attach', messages),
      frame('flow', { incoming_window: 5000, next_outgoing_id: 1, outgoing_window: 5000, handle: 0, link_credit: 1 }),
    ]),
  );
  await peer.next('transfer');
  await turns();
  expect(texts()).toEqual(['a']);
  flow({ next_incoming_id: 1, handle: 0, delivery_count: 1, link_credit: 1 });
  await peer.next('transfer', 2);
  expect(texts()).toEqual(['a', 'b']);
});

test('credit 0 stops what was granted; what is granted later goes on where it stopped', async () => {
  await openMessages();
  flow({ handle: 0, delivery_count: 0, link_credit: 2 });
  await send('a');
  await peer.next('transfer');
  flow({ next_incoming_id: 1, handle: 0, delivery_count: 1, link_credit: 0 });
  await turns();
  await send('b', 'c');
  await turns();
  expect(texts()).toEqual(['a']);
  flow({ next_incoming_id: 1, handle: 0, delivery_count: 1, link_credit: 1 });
  await peer.next('transfer', 2);
  await turns();
  expect(texts()).toEqual(['a', 'b']);
});

test('credit for more than there is lasts for what comes later', async () => {
  await send('a');
  await openMessages();
  flow({ handle: 0, delivery_count: 0, link_credit: 1000 });
  await peer.next('transfer');
  await send('b');
  await peer.next('transfer', 2);
  await send('c', 'd');
  await peer.next('transfer', 4);
  expect(texts()).toEqual(['a', 'b', 'c', 'd']);
});

test('a session whose window is used up waits, and goes on when its peer opens it again, in pieces if need be', async () => {
  await send('a', 'b', 'c', 'd');
  await peer.open({ hostname: hubHost, max_frame_size: 512 });
  peer.send('attach', messages);
  await peer.next('attach');
  flow({ incoming_window: 2, handle: 0, delivery_count: 0, link_credit: 50 });
  await peer.next('transfer', 2);
  await turns();
  expect(texts()).toEqual(['a', 'b']);
  // The window of the session alone: the link is not named.
  flow({ next_incoming_id: 2, incoming_window: 1 });
  await peer.next('transfer', 3);
  await turns();
  expect(texts()).toEqual(['a', 'b', 'c']);
  flow({ next_incoming_id: 3, incoming_window: 1 });
  await peer.next('transfer', 4);
  await send('x'.repeat(3000));
  for (let next = 4; peer.named('transfer').length < 5 || peer.named('transfer').at(-1)?.fields[5]?.value === true; next += 1) {
    expect(peer.named('transfer')).toHaveLength(next);
    flow({ next_incoming_id: next, incoming_window: 1 });
    await peer.next('transfer', next + 1);
    await turns(10);
  }
  const pieces = peer.named('transfer').slice(4);
  expect(pieces.length).toBeGreaterThan(6);
  expect(
    sections(Buffer.concat(pieces.map(({ payload }) => payload)))
      .get(0x75)
      ?.value.toString(),
  ).toBe('x'.repeat(3000));
});

test('a link that lost its credit while the window was closed holds up no other', async () => {
  await openMessages();
  const ask = await openTwin();
  flow({ incoming_window: 0, handle: 0, delivery_count: 0, link_credit: 5 });
  await send('a');
  await turns();
  expect(peer.named('transfer')).toHaveLength(0);
  flow({ handle: 0, delivery_count: 0, link_credit: 0 });
  flow({ handle: 1, delivery_count: 0, link_credit: 5 });
  ask('g1');
  const answer = await peer.next('transfer');
  expect(answer.fields[0]?.value).toBe(1);
  await turns();
  expect(texts(0)).toEqual([]);
  flow({ next_incoming_id: 1, handle: 0, delivery_count: 0, link_credit: 1 });
  await peer.next('transfer', 2);
  expect(texts(0)).toEqual(['a']);
});

test('a link that is closed in the middle of a message holds up no other', async () => {
  await peer.open({ hostname: hubHost, max_frame_size: 512 });
  peer.send('attach', messages);
  await peer.next('attach');
  const ask = await openTwin();
  await send('x'.repeat(3000), 'next');
  flow({ incoming_window: 2, handle: 0, delivery_count: 0, link_credit: 5 });
  await peer.next('transfer', 2);
  expect(peer.named('transfer').at(-1)?.fields[5]?.value).toBe(true);
  peer.send('detach', { handle: 0, closed: true });
  await peer.next('detach');
  flow({ next_incoming_id: 2, handle: 1, delivery_count: 0, link_credit: 5 });
  ask('g1');
  const answer = await peer.next('transfer', 3);
  // The id of the delivery that broke off is used up.
  expect([answer.fields[0]?.value, answer.fields[1]?.value]).toEqual([1, 1]);
  await turns();
  expect(peer.named('transfer')).toHaveLength(3);
  peer.send('attach', messages);
  await peer.next('attach', 4);
  flow({ next_incoming_id: 3, handle: 0, delivery_count: 0, link_credit: 1 });
  await peer.next('transfer', 10);
  const again = peer.named('transfer').slice(3);
  expect(again.every(({ fields }) => fields[0]?.value === 0 && fields[1]?.value === 2)).toBe(true);
  expect(
    sections(Buffer.concat(again.map(({ payload }) => payload)))
      .get(0x75)
      ?.value.toString(),
  ).toBe('x'.repeat(3000));
});

test('a message that has begun is finished, though its link has no more credit', async () => {
  await peer.open({ hostname: hubHost, max_frame_size: 512 });
  peer.send('attach', messages);
  await peer.next('attach');
  await send('x'.repeat(3000), 'next');
  flow({ incoming_window: 2, handle: 0, delivery_count: 0, link_credit: 5 });
  await peer.next('transfer', 2);
  flow({ next_incoming_id: 2, handle: 0, delivery_count: 0, link_credit: 0 });
  await until(() => peer.named('transfer').at(-1)?.fields[5]?.value !== true, 'the last piece');
  const count = peer.named('transfer').length;
  await turns();
  expect(peer.named('transfer')).toHaveLength(count);
});

test('drain, and echo, of more credit than anybody counts down', async () => {
  await openMessages();
  flow({ handle: 0, delivery_count: 0, link_credit: 0xff_ff_ff_ff, drain: true, echo: true });
  await until(() => linkFlows(0).some(({ drain }) => drain), 'FLOW');
  expect(linkFlows(0).at(-1)).toEqual({ deliveryCount: 0xff_ff_ff_ff, credit: 0, drain: true });
  await send('late');
  flow({ handle: 0, delivery_count: 0xff_ff_ff_ff, link_credit: 1 });
  await peer.next('transfer');
  expect(texts()).toEqual(['late']);
});

test('drain with nothing to send: the credit is used up at once, and said to be', async () => {
  await openMessages();
  flow({ handle: 0, delivery_count: 0, link_credit: 10, drain: true });
  await until(() => linkFlows(0).length > 0, 'FLOW');
  expect(linkFlows(0)).toEqual([{ deliveryCount: 10, credit: 0, drain: true }]);
  await send('late');
  await turns();
  expect(texts()).toEqual([]);
  flow({ handle: 0, delivery_count: 10, link_credit: 1 });
  await peer.next('transfer');
  expect(texts()).toEqual(['late']);
});

test('drain with messages that wait: first they come, then what is left of the credit goes', async () => {
  await send('a', 'b', 'c');
  await openMessages();
  flow({ handle: 0, delivery_count: 0, link_credit: 10, drain: true });
  await until(() => linkFlows(0).length > 0, 'FLOW');
  expect(texts()).toEqual(['a', 'b', 'c']);
  expect(linkFlows(0)).toEqual([{ deliveryCount: 10, credit: 0, drain: true }]);
  expect(peer.frames.at(-1)?.name).toBe('flow');
});

test('drain of credit that was granted before, and on a link that only answers', async () => {
  await openMessages();
  const ask = await openTwin();
  flow({ handle: 0, delivery_count: 0, link_credit: 5 });
  await send('a');
  await peer.next('transfer');
  flow({ next_incoming_id: 1, handle: 0, delivery_count: 1, link_credit: 4, drain: true });
  await until(() => linkFlows(0).length > 0, 'FLOW');
  expect(linkFlows(0)).toEqual([{ deliveryCount: 5, credit: 0, drain: true }]);
  flow({ next_incoming_id: 1, handle: 1, delivery_count: 0, link_credit: 7, drain: true });
  await until(() => linkFlows(1).length > 0, 'FLOW');
  expect(linkFlows(1)).toEqual([{ deliveryCount: 7, credit: 0, drain: true }]);
  flow({ next_incoming_id: 1, handle: 1, delivery_count: 7, link_credit: 1 });
  ask('g1');
  expect((await peer.next('transfer', 2)).fields[0]?.value).toBe(1);
});

test('drain waits for the window of the session: no message is counted that was not sent', async () => {
  await send('a', 'b');
  await openMessages();
  flow({ incoming_window: 1, handle: 0, delivery_count: 0, link_credit: 10, drain: true });
  await peer.next('transfer');
  await turns();
  expect(linkFlows(0)).toEqual([]);
  flow({ next_incoming_id: 1, incoming_window: 5 });
  await until(() => linkFlows(0).length > 0, 'FLOW');
  expect(texts()).toEqual(['a', 'b']);
  expect(linkFlows(0)).toEqual([{ deliveryCount: 10, credit: 0, drain: true }]);
});

test('echo is answered with the state of the link, or of the session', async () => {
  await openMessages();
  flow({ handle: 0, delivery_count: 0, link_credit: 9, echo: true });
  await until(() => linkFlows(0).length === 1, 'FLOW');
  expect(linkFlows(0)).toEqual([{ deliveryCount: 0, credit: 9, drain: false }]);
  flow({ echo: true });
  const session = await peer.next('flow', 2);
  expect(session.fields[4]?.value ?? null).toBeNull();
  expect(session.fields[1]?.value).toBeGreaterThan(0);
});

test('a peer that keeps to credit and window sends thousands of messages', async () => {
  await peer.open({ hostname: hubHost });
  const events = target('/devices/d1/messages/events');
  peer.send('attach', { name: 'events', handle: 0, role: false, initial_delivery_count: 0, source: source('d1'), target: events });
  await peer.next('flow');
  const start = (await peer.next('begin')).fields[2]?.value as number;
  const body = rheaMessage.data_section(Buffer.from('x'));
  let sent = 0;
  /** How many transfers the windows that we announced allow, and deliveries the credit. */
  const allowed = (): number => {
    const most = peer.named('flow').map(({ fields }) => {
      const byWindow = fields[0]?.value - 1 + fields[1]?.value;
      const byCredit = fields[4] === undefined || fields[4].value === null ? Infinity : fields[5]?.value + fields[6]?.value;
      return { byWindow, byCredit };
    });
    const credit = most.map(({ byCredit }) => byCredit).filter(Number.isFinite);
    return Math.min(Math.max(start, ...most.map(({ byWindow }) => byWindow)), Math.max(...credit));
  };
  while (sent < 3000) {
    await until(() => allowed() > sent, `leave to send message ${sent}`);
    for (const most = Math.min(allowed(), 3000); sent < most; sent += 1) peer.transfer(0, { body });
    await turns(2);
  }
  const last = () => peer.named('disposition').reduce((most, { fields }) => Math.max(most, fields[2]?.value ?? fields[1]?.value), 0);
  await until(() => last() === 2999, 'all outcomes');
});
