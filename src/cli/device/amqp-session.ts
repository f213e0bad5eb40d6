import type { Duplex } from 'node:stream';

import rhea, { type Connection, type Delivery, type EventContext, type Message, type Receiver, type Sender } from 'rhea';

import { isJsonObject, type Json } from '../../kernel/json.ts';
import { parseReply } from './https.ts';
import { Refusal } from './door.ts';
import { deferred, inTime } from './waiting.ts';

/** For SASL PLAIN. */
export interface AmqpUser {
  readonly username: string;
  readonly password: string;
}

/** An AMQP 1.0 connection; without SASL, as devices with certificates open it, or with SASL PLAIN. */
export interface AmqpSession {
  openSender(options: LinkChoice): Promise<Sender>;
  openReceiver(options: LinkChoice, onMessage: (message: Message) => void): Promise<Receiver>;
  readonly dropped: Promise<string>;
  close(): Promise<void>;
}

export interface LinkChoice {
  readonly address: string;
  readonly properties: Readonly<Record<string, string>>;
  /** Messages go settled; nobody waits for an outcome. */
  readonly settled?: boolean;
}

/** A delivery that the peer did not accept. */
export class RejectedDelivery extends Refusal {
  readonly description: Json;
  readonly retryAfterSeconds: number | undefined;

  constructor(condition: string, description: string, retryAfterSeconds: number | undefined) {
    super(`${condition} ${description}`.trim());
    this.description = parseReply(description);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

interface Ended {
  readonly condition?: string;
  readonly description?: string;
}

/** Says OPEN on a stream that is connected already. */
export async function openAmqpSession(stream: Duplex, hostName: string, user?: AmqpUser): Promise<AmqpSession> {
  const connection = rhea.create_container().connect({
    hostname: hostName,
    ...user,
    reconnect: false,
    idle_time_out: 60_000,
    // Only the types ask for it; `connection_details` decides.
    transport: 'tls',
    // The stream is made elsewhere, with its own errors; rhea is told that it is connected once it listens.
    connection_details: () => ({ host: hostName, port: 0, connect: (...args: readonly unknown[]) => handOver(stream, args.at(-1)) }),
  });
  const ended = deferred<string>();
  let closing = false;
  const end =
    (words: string) =>
    (context: EventContext): void => {
      if (!closing) ended.resolve(describe((context.connection as { readonly error?: unknown }).error ?? context.error, words));
    };
  connection.on('connection_error', end('the service ended the connection'));
  connection.on('connection_close', end('the service ended the connection'));
  connection.on('session_error', end('the service ended the session'));
  connection.on('disconnected', end('the connection was closed by the service'));
  for (const event of ['error', 'protocol_error'])
    connection.on(event, (error: unknown) => ended.resolve(describe(error, 'the connection broke')));
  const opened = deferred<void>();
  connection.once('connection_open', () => opened.resolve());
  await inTime(orEnded(opened.promise, ended.promise), 'The answer to OPEN');
  return {
    openSender: (options) => openSender(connection, options, ended),
    openReceiver: (options, onMessage) => openReceiver(connection, options, { onMessage, ended }),
    dropped: ended.promise,
    close: async () => {
      closing = true;
      connection.close();
      // Nothing depends on the answer; a peer that does not give one is not waited for.
      setImmediate(() => stream.end());
    },
  };
}

function handOver(stream: Duplex, onConnected: unknown): Duplex {
  if (typeof onConnected === 'function') setImmediate(() => void onConnected());
  return stream;
}

type Ending = ReturnType<typeof deferred<string>>;

async function openSender(connection: Connection, { address, properties, settled }: LinkChoice, ended: Ending): Promise<Sender> {
  const sender = connection.open_sender({
    target: { address },
    properties: { ...properties },
    ...(settled === true ? { snd_settle_mode: 1 } : {}),
  });
  const ready = deferred<void>();
  sender.once('sendable', () => ready.resolve());
  for (const event of ['sender_error', 'sender_close'])
    sender.on(event, () => ended.resolve(describe(sender.error, `the link ${address} was closed`)));
  await inTime(orEnded(ready.promise, ended.promise), `The link ${address}`);
  return sender;
}

async function openReceiver(
  connection: Connection,
  { address, properties, settled }: LinkChoice,
  { onMessage, ended }: { readonly onMessage: (message: Message) => void; readonly ended: Ending },
): Promise<Receiver> {
  const receiver = connection.open_receiver({
    source: { address },
    properties: { ...properties },
    credit_window: 50,
    ...(settled === true ? { snd_settle_mode: 1 } : {}),
  });
  const ready = deferred<void>();
  receiver.on('message', ({ message }: EventContext) => {
    if (message !== undefined) onMessage(message);
  });
  receiver.once('receiver_open', () => {
    // A refused link is attached without a source first, and its error comes with the detach (AMQP 1.0, 2.6.3).
    if (isPresent(receiver.source)) ready.resolve();
  });
  for (const event of ['receiver_error', 'receiver_close'])
    receiver.on(event, () => ended.resolve(describe(receiver.error, `the link ${address} was closed`)));
  await inTime(orEnded(ready.promise, ended.promise), `The link ${address}`);
  return receiver;
}

function isPresent(terminus: unknown): boolean {
  return typeof terminus === 'object' && terminus !== null;
}

/** Sends a message and waits for its outcome. Throws `RejectedDelivery`. */
export function sendAccepted(sender: Sender, message: Message): Promise<void> {
  const { promise, resolve, reject } = deferred<void>();
  const delivery: Delivery = sender.send(message);
  const watch = (event: string, act: (context: EventContext) => void): (() => void) => {
    const listener = (context: EventContext): void => {
      if (context.delivery?.id === delivery.id) act(context);
    };
    sender.on(event, listener);
    return () => void sender.off(event, listener);
  };
  const watches = [
    watch('accepted', () => resolve()),
    watch('rejected', (context) => reject(rejectionOf(context.delivery?.remote_state))),
    watch('released', () => reject(new Refusal('the service released the message'))),
    watch('modified', () => reject(new Refusal('the service did not take the message'))),
  ];
  return promise.finally(() => {
    for (const unwatch of watches) unwatch();
  });
}

function rejectionOf(state: unknown): RejectedDelivery {
  const error = (state as { readonly error?: Ended & { readonly info?: unknown } } | undefined)?.error;
  const info = error?.info as Readonly<Record<string, unknown>> | undefined;
  const retryAfter = Number(info?.['retry-after'] ?? info?.['Retry-After']);
  return new RejectedDelivery(error?.condition ?? 'rejected', error?.description ?? '', retryAfter > 0 ? retryAfter : undefined);
}

/** The data section of a message as text. */
export function bodyText(message: Message): string {
  const body = message.body as { readonly content?: unknown } | string | Buffer | undefined;
  if (Buffer.isBuffer(body)) return body.toString('utf8');
  if (typeof body === 'string' || body === undefined || body === null) return body ?? '';
  return Buffer.isBuffer(body.content) ? body.content.toString('utf8') : '';
}

export const dataBody = (body: string | Uint8Array): unknown => rhea.message.data_section(Buffer.from(body));
export const jsonBody = (value: Json): unknown => dataBody(JSON.stringify(value));

function orEnded<T>(work: Promise<T>, ended: Promise<string>): Promise<T> {
  const refused = ended.then((reason): never => {
    throw new Refusal(reason);
  });
  return Promise.race([work, refused]);
}

function describe(error: unknown, otherwise: string): string {
  const { condition, description } = typeof error === 'object' && error !== null ? (error as Ended) : {};
  if (condition !== undefined) return `${condition}${description === undefined || description === '' ? '' : `: ${readable(description)}`}`;
  return error instanceof Error && error.message !== '' ? `${otherwise} (${error.message})` : otherwise;
}

/** Descriptions are often the JSON body of an error; its sentence is what a person wants. */
function readable(description: string): string {
  const body = parseReply(description);
  const message = isJsonObject(body) ? (body['message'] ?? body['Message']) : undefined;
  return typeof message === 'string' ? message : description;
}
