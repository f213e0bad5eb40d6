import { failure } from '../exit-code.ts';
import { type HubConnection, Refusal } from './door.ts';
import { Dropped, orDropped } from './dropped.ts';
import type { DeviceMessage } from './message.ts';
import { inTime } from './waiting.ts';

/** Connects, sends one message so many times, one after the acknowledgement of the other, and closes the connection. */
export async function sendMessages(connecting: Promise<HubConnection>, message: DeviceMessage, times: number): Promise<void> {
  let connection: HubConnection | undefined;
  try {
    connection = await connecting;
    for (let sent = 0; sent < times; sent += 1)
      await orDropped(inTime(connection.send(message), 'The acknowledgement of the hub'), connection);
  } catch (error) {
    if (error instanceof Refusal || error instanceof Dropped) throw failure(`The hub did not take the message: ${error.message}.`);
    throw error;
  } finally {
    await connection?.close();
  }
}
