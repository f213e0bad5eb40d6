import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';
import { until } from './raw-peer.ts';

// rhea as the SDKs use it: the client half of the library, with its own ways of typing things.
const rhea = createRequire(import.meta.url)('rhea');

export interface ClientLink {
  readonly link: any;
  readonly messages: any[];
  /** Condition, description and info of the DETACH that ended it. */
  readonly error: () => any;
  next(count?: number): Promise<any>;
  ended(): Promise<any>;
}

/** A rhea client over a stream that is connected already. */
export async function openClient(stream: Duplex, options: Record<string, unknown> = {}) {
  const container = rhea.create_container();
  let opened = false;
  let closeError: any;
  let disconnected = false;
  container.on('connection_open', () => (opened = true));
  container.on('connection_error', ({ connection }: any) => (closeError = connection.error));
  container.on('connection_close', () => {});
  container.on('disconnected', () => (disconnected = true));
  for (const event of ['receiver_error', 'receiver_close', 'sender_error', 'sender_close', 'error']) container.on(event, () => {});
  const connection = container.connect({
    reconnect: false,
    hostname: 'localhost',
    host: 'localhost',
    ...options,
    connection_details: () => ({
      connect: (_port: unknown, _host: unknown, _options: unknown, connected: () => void) => {
        process.nextTick(connected);
        return stream;
      },
    }),
  });
  await until(() => opened || disconnected, 'OPEN');

  const follow = async (link: any, kind: string): Promise<ClientLink> => {
    const messages: any[] = [];
    let open = false;
    let over = false;
    link.on(`${kind}_open`, () => (open = true));
    link.on(`${kind}_error`, () => (over = true));
    link.on(`${kind}_close`, () => (over = true));
    link.on('message', ({ message, delivery }: any) => messages.push(Object.assign(message, { delivery })));
    await until(() => open || over || disconnected, `${kind} ${link.name}`);
    // A refusal says ATTACH first, the error follows at once.
    await new Promise((resolve) => setImmediate(resolve));
    return {
      link,
      messages,
      error: () => link.error,
      next: async (count = 1) => {
        await until(() => messages.length >= count, `message ${count} on ${link.name}`);
        return messages[count - 1];
      },
      ended: async () => {
        await until(() => over || disconnected, `the end of ${link.name}`);
        return link.error;
      },
    };
  };

  return {
    connection,
    isDisconnected: () => disconnected,
    closeError: () => closeError,
    receiver: (address: string, fields: Record<string, unknown> = {}) =>
      follow(connection.open_receiver({ source: { address }, ...fields }), 'receiver'),
    sender: (address: string, fields: Record<string, unknown> = {}) =>
      follow(connection.open_sender({ target: { address }, ...fields }), 'sender'),
    /** A session of its own, as each device of a pooled connection has. */
    session: () => {
      const session = connection.create_session();
      session.begin();
      return {
        receiver: (address: string, fields: Record<string, unknown> = {}) =>
          follow(session.open_receiver({ source: { address }, ...fields }), 'receiver'),
        sender: (address: string, fields: Record<string, unknown> = {}) =>
          follow(session.open_sender({ target: { address }, ...fields }), 'sender'),
        end: () => session.close(),
      };
    },
    /** Sends and waits for the outcome. */
    send: async (sender: ClientLink, message: Record<string, unknown>): Promise<{ readonly outcome: string; readonly error?: any }> =>
      await outcomeOf(sender, sender.link.send(message)),
    sendRaw: async (sender: ClientLink, payload: Buffer, format: number): Promise<{ readonly outcome: string; readonly error?: any }> =>
      await outcomeOf(sender, sender.link.send(payload, undefined, format)),
    close: () => connection.close(),
  };
}

export type Client = Awaited<ReturnType<typeof openClient>>;

async function outcomeOf(sender: ClientLink, delivery: any): Promise<{ readonly outcome: string; readonly error?: any }> {
  let outcome: { readonly outcome: string; readonly error?: any } | undefined;
  for (const name of ['accepted', 'rejected', 'released']) {
    sender.link.on(name, (context: any) => {
      if (context.delivery === delivery) outcome = { outcome: name, error: context.delivery.remote_state?.error };
    });
  }
  await until(() => outcome !== undefined, 'an outcome');
  return outcome as { readonly outcome: string };
}

export const data = (value: unknown): unknown =>
  rhea.message.data_section(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));
export const bodyOf = (message: any): any => JSON.parse(message.body.content.toString());
export const wrap = rhea.types;
export const encode = rhea.message.encode as (message: Record<string, unknown>) => Buffer;
