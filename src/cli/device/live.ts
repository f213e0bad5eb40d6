import { randomUUID } from 'node:crypto';

import { isJsonObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';
import { type DeviceDoor, type DeviceTransport, type HubConnection, type MethodCall, type PolledInbox, Refusal } from './door.ts';
import { Dropped, orDropped } from './dropped.ts';
import type { Settlement } from './settlement.ts';
import { addressOf } from './socket.ts';
import type { Steps } from './steps.ts';
import { inTime, pause } from './waiting.ts';

/** A device that is in the registry already, as `az iot device simulate` plays it. */
export interface HubLife {
  readonly transport: DeviceTransport;
  readonly door: DeviceDoor;
  readonly deviceId: string;
  /** Text of the messages; each goes with its number, in JSON. */
  readonly data: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly messages: number;
  readonly intervalSeconds: number;
  /** For messages that are fetched; those that are pushed are completed. */
  readonly settlement: Settlement;
  /** What every method is answered; without a payload, with what it was called with. */
  readonly method: { readonly status: number; readonly payload?: Json };
  /** Reported at the start. */
  readonly reported?: JsonObject;
  readonly steps: Steps;
}

/** How often messages are fetched over HTTPS, as az does. */
const fetchSeconds = 3;

/** Connects, answers what the hub sends, and sends until all messages are out. Resolves with the exit code. */
export async function liveAtHub(life: HubLife): Promise<ExitCode> {
  const { transport, door, deviceId, steps } = life;
  try {
    const connection = await transport.connect(door, deviceId);
    try {
      await listen(connection, life);
      await sendAndFetch(connection, life);
      steps.say('done', { messages: life.messages }, 'done');
      return exitCodes.ok;
    } finally {
      await connection.close();
    }
  } catch (error) {
    if (error instanceof Refusal) steps.say('refused', { reason: error.message }, `refused: ${error.message}`);
    else if (error instanceof Dropped)
      steps.say('disconnected', { hub: door.hostName, reason: error.message }, `disconnected by ${door.hostName}: ${error.message}`);
    else throw error;
    return exitCodes.failure;
  }
}

async function listen(connection: HubConnection, life: HubLife): Promise<void> {
  const { steps, transport } = life;
  const { twin, methods, inbox } = connection;
  const at = addressOf(life.door);
  // Over HTTPS there is no connection: each request goes for itself.
  if (twin !== undefined) steps.say('connected', { host: at, transport: transport.name }, `connected to ${at} over ${transport.name}`);
  const begin = (work: Promise<void> | undefined, what: string): Promise<void> =>
    orDropped(inTime(work ?? Promise.resolve(), what), connection);
  if (inbox?.kind === 'pushed')
    await begin(
      inbox.onMessage((message) => sayMessage({ ...message }, steps)),
      'The subscription to messages',
    );
  await begin(
    methods?.onCall((call) => answerOf(call, life)),
    'The subscription to methods',
  );
  await begin(
    twin?.onDesired((patch) => mirror(patch, connection, life)),
    'The subscription to desired properties',
  );
  if (life.reported !== undefined) await report(life.reported, connection, life);
}

function answerOf(call: MethodCall, { method, steps }: HubLife): { readonly status: number; readonly payload: Json } {
  const { id, name, payload } = call;
  const answer = method.payload ?? { methodName: name, methodRequestId: id, methodRequestPayload: payload };
  steps.say(
    'method',
    { name, requestId: id, payload, status: method.status, response: answer },
    `method ${name} called with ${JSON.stringify(payload)}, answered ${method.status} ${JSON.stringify(answer)}`,
  );
  return { status: method.status, payload: answer };
}

/** Reports desired properties that changed as they are wanted; what begins with a dollar is the hub's own. */
function mirror(patch: Json, connection: HubConnection, life: HubLife): void {
  life.steps.say('desired', { patch }, `desired properties changed: ${JSON.stringify(patch)}`);
  const changed: JsonObject = Object.fromEntries(
    Object.entries(isJsonObject(patch) ? patch : {}).filter(([name]) => !name.startsWith('$')),
  );
  if (Object.keys(changed).length === 0) return;
  report(changed, connection, life).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    life.steps.say('unreported', { patch: changed, reason }, `not reported ${JSON.stringify(changed)}: ${reason}`);
  });
}

async function report(patch: JsonObject, connection: HubConnection, { steps }: HubLife): Promise<void> {
  const work = connection.twin?.report(patch) ?? Promise.resolve(undefined);
  const version = await orDropped(inTime(work, 'The answer to the report'), connection);
  const now = version === undefined ? '' : `, now version ${version}`;
  steps.say('reported', { patch, version: version ?? null }, `reported ${JSON.stringify(patch)}${now}`);
}

/** Whichever ends first, by itself or by an error, ends the other; what is under way is brought to its end. */
async function sendAndFetch(connection: HubConnection, life: HubLife): Promise<void> {
  const over = new AbortController();
  const { inbox } = connection;
  const works = [sendAll(connection, life, over.signal)];
  if (inbox?.kind === 'polled') works.push(fetchForever(inbox, life, over.signal));
  try {
    await Promise.race(works);
  } finally {
    over.abort();
    await Promise.allSettled(works);
  }
}

async function sendAll(connection: HubConnection, life: HubLife, over: AbortSignal): Promise<void> {
  const { messages, intervalSeconds, properties, steps } = life;
  for (let number = 1; number <= messages; number += 1) {
    const content = { id: randomUUID(), timestamp: new Date(Date.now()).toISOString(), data: `${life.data} #${number}` };
    const message = { body: JSON.stringify(content), properties };
    await orDropped(inTime(connection.send(message), 'The acknowledgement of the hub'), connection);
    steps.say('message', { number, of: messages }, `message ${number} of ${messages} acknowledged`);
    await orDropped(pause(intervalSeconds * 1000, over), connection);
  }
}

/** Takes one message at a time where the hub pushes none. */
async function fetchForever(inbox: PolledInbox, { settlement, steps }: HubLife, over: AbortSignal): Promise<never> {
  for (;;) {
    const message = await inTime(inbox.receive(), 'The answer of the hub');
    if (message !== undefined) {
      sayMessage({ ...message }, steps);
      await inTime(inbox.settle(message.etag, settlement), 'The answer of the hub');
      steps.say('settled', { etag: message.etag, settlement }, `settled: ${settlement}`);
    }
    await pause(fetchSeconds * 1000, over);
  }
}

function sayMessage(message: JsonObject, steps: Steps): void {
  steps.say('cloud-message', { message }, `received cloud-to-device message ${JSON.stringify(message)}`);
}
