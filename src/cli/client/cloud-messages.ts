import { randomUUID } from 'node:crypto';

import type { Message } from 'rhea';

import { bodyText, openAmqpSession, type AmqpSession, sendAccepted } from '../device/amqp-session.ts';
import { openTls } from '../device/socket.ts';
import { inTime } from '../device/waiting.ts';
import { isJsonObject, type Json } from '../../kernel/json.ts';
import type { CommandContext } from '../context.ts';
import { failure } from '../exit-code.ts';
import { signConnectionString } from './sas-token.ts';
import { findHubConnection, type TargetChoice } from './targets.ts';
import { trustedAuthorities } from './trust.ts';

const noProperties = { properties: {} } as const;

/** A service's connection to a hub over AMQP, for what HTTPS does not offer. */
export interface CloudMessages {
  /** Resolves when the hub has queued the message. */
  send(message: Message): Promise<void>;
  /** The feedback about a message, as soon as it comes. */
  feedbackOn(messageId: string): Promise<Json>;
  close(): Promise<void>;
}

export async function openCloudMessages(choice: TargetChoice, context: CommandContext): Promise<CloudMessages> {
  const { connection, amqpPort } = await findHubConnection(choice, context);
  const hostName = connection.hostName.replace(/:\d+$/u, '');
  const stream = await openTls({ hostName, port: amqpPort, authorities: await trustedAuthorities(context) });
  const session = await openAmqpSession(stream, hostName);
  await putToken(session, { name: hostName, token: signConnectionString(connection, Date.now()) });
  return {
    async send(message) {
      await sendAccepted(await session.openSender({ address: '/messages/devicebound', ...noProperties }), message);
    },
    async feedbackOn(messageId) {
      const found = new Promise<Json>((resolve) => {
        const look = (message: Message): void => {
          const records = JSON.parse(bodyText(message)) as readonly Json[];
          const record = records.find((candidate) => isJsonObject(candidate) && candidate['originalMessageId'] === messageId);
          if (record !== undefined) resolve(record);
        };
        void session.openReceiver({ address: '/messages/serviceBound/feedback', ...noProperties }, look);
      });
      const dropped = session.dropped.then((reason): never => {
        throw failure(`The connection ended before the feedback came: ${reason}.`);
      });
      return await Promise.race([found, dropped]);
    },
    close: () => session.close(),
  };
}

/** Claims-based security: the token is a message, and so is what the hub thinks of it. */
async function putToken(session: AmqpSession, { name, token }: { readonly name: string; readonly token: string }): Promise<void> {
  let answered: (message: Message) => void = () => {};
  const answer = new Promise<Message>((resolve) => (answered = resolve));
  await session.openReceiver({ address: '$cbs', ...noProperties }, (message) => answered(message));
  const sender = await session.openSender({ address: '$cbs', ...noProperties });
  await sendAccepted(sender, {
    message_id: randomUUID(),
    reply_to: 'cbs',
    application_properties: { operation: 'put-token', type: 'servicebus.windows.net:sastoken', name },
    body: token,
  });
  const { application_properties: outcome = {} } = await inTime(answer, 'The answer to the token');
  if (outcome['status-code'] !== 200) throw failure(`The hub refused the token: ${String(outcome['status-description'])}`);
}
