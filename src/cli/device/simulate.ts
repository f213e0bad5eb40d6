import { randomUUID } from 'node:crypto';

import { type ExitCode, exitCodes } from '../exit-code.ts';
import { Dropped, orDropped } from './dropped.ts';
import { type DeviceDoor, type DeviceTransport, type HubConnection, Refusal, type TwinAccess } from './door.ts';
import { jsonMessage } from './message.ts';
import { register, type RegistrationOutcome } from './register.ts';
import { addressOf } from './socket.ts';
import type { Steps } from './steps.ts';
import { inTime, pause } from './waiting.ts';

export interface Simulation {
  readonly transport: DeviceTransport;
  /** Door of the provisioning service; the hub has the same port under its own name. */
  readonly door: DeviceDoor;
  readonly idScope: string;
  readonly registrationId: string;
  readonly messages: number;
  readonly intervalSeconds: number;
  readonly stay: boolean;
  readonly steps: Steps;
}

/** The life of a device, once: register, connect, twin, report, telemetry. Resolves with the exit code. */
export async function simulate(simulation: Simulation): Promise<ExitCode> {
  const { steps, transport, door, registrationId } = simulation;
  steps.say(
    'registering',
    { registrationId, transport: transport.name, host: addressOf(door) },
    `registering ${registrationId} at ${addressOf(door)} over ${transport.name}`,
  );
  try {
    const outcome = await registerOnce(simulation);
    if (outcome.kind === 'refused') return refused(steps, outcome.reason);
    const { hub, deviceId, substatus } = outcome;
    steps.say(
      'assigned',
      { hub, deviceId, substatus: substatus ?? null },
      `assigned to ${hub} as ${deviceId}${substatus === undefined ? '' : ` (${substatus})`}`,
    );
    return await liveAtHub(simulation, outcome);
  } catch (error) {
    if (error instanceof Refusal) return refused(steps, error.message);
    throw error;
  }
}

async function registerOnce({ transport, door, idScope, registrationId }: Simulation): Promise<RegistrationOutcome> {
  const conversation = await transport.provision(door, { idScope, registrationId });
  try {
    return await register(conversation);
  } finally {
    await conversation.close();
  }
}

async function liveAtHub(
  simulation: Simulation,
  { hub, deviceId }: { readonly hub: string; readonly deviceId: string },
): Promise<ExitCode> {
  const { transport, steps } = simulation;
  const door = { ...simulation.door, hostName: hub };
  const connection = await transport.connect(door, deviceId);
  try {
    // HTTPS holds no connection and has no twins: each message goes for itself.
    if (connection.twin !== undefined) {
      const at = addressOf(door);
      steps.say('connected', { hub, host: at, transport: transport.name }, `connected to ${at} over ${transport.name}`);
      await useTwin(connection.twin, connection, simulation);
    }
    await sendAll(connection, deviceId, simulation);
    if (simulation.stay) await stay(connection, simulation);
    steps.say('done', { messages: simulation.messages }, 'done');
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof Dropped)) throw error;
    const at = new Date(Date.now()).toISOString();
    steps.say('disconnected', { hub, reason: error.message }, `disconnected by ${hub} at ${at}: ${error.message}`);
    return exitCodes.failure;
  } finally {
    await connection.close();
  }
}

async function useTwin(twin: TwinAccess, connection: HubConnection, { steps, transport }: Simulation): Promise<void> {
  const { desired, reported } = await orDropped(inTime(twin.get(), 'The twin'), connection);
  steps.say('twin', { desired, reported }, `twin: desired ${JSON.stringify(desired)}, reported ${JSON.stringify(reported)}`);
  const patch = { startedAt: new Date(Date.now()).toISOString(), transport: transport.name };
  const version = await orDropped(inTime(twin.report(patch), 'The answer to the report'), connection);
  steps.say(
    'reported',
    { patch, version: version ?? null },
    `reported ${JSON.stringify(patch)}${version === undefined ? '' : `, now version ${version}`}`,
  );
  await orDropped(
    inTime(
      twin.onDesired((change) => steps.say('desired', { patch: change }, `desired properties changed: ${JSON.stringify(change)}`)),
      'The subscription to desired properties',
    ),
    connection,
  );
}

async function sendAll(connection: HubConnection, deviceId: string, { messages, intervalSeconds, steps }: Simulation): Promise<void> {
  for (let number = 1; number <= messages; number += 1) {
    if (number > 1) await orDropped(pause(intervalSeconds * 1000), connection);
    const started = process.hrtime.bigint();
    const body = { deviceId, number, sentAt: new Date(Date.now()).toISOString() };
    await orDropped(inTime(connection.send(jsonMessage(randomUUID(), body)), 'The acknowledgement of the hub'), connection);
    const elapsed = Math.round(Number(process.hrtime.bigint() - started) / 10_000) / 100;
    steps.say(
      'message',
      { number, of: messages, milliseconds: elapsed },
      `message ${number} of ${messages} acknowledged after ${elapsed} ms`,
    );
  }
}

/** Holds the connection until the other side ends it, or a signal ends this process. */
async function stay(connection: HubConnection, { steps }: Simulation): Promise<void> {
  steps.say('staying', {}, 'staying connected; Ctrl-C ends');
  throw new Dropped(await connection.dropped);
}

function refused(steps: Steps, reason: string): ExitCode {
  steps.say('refused', { reason }, `refused: ${reason}`);
  return exitCodes.failure;
}
