import type { Door, Receipt } from '../../../contracts/fleet/receipt.ts';
import { type TransportName, transportNames } from '../../../contracts/transport.ts';
import { readRunningService, type RunningService } from '../../client/running-service.ts';
import { trustedAuthorities } from '../../client/trust.ts';
import type { CommandContext } from '../../context.ts';
import { addressIn } from '../../device/address.ts';
import { type DeviceDoor, type DeviceTransport, Refusal } from '../../device/door.ts';
import { jsonMessage } from '../../device/message.ts';
import { register } from '../../device/register.ts';
import { deviceTransports } from '../../device/transports.ts';
import { inTime } from '../../device/waiting.ts';
import { CliFailure } from '../../exit-code.ts';
import type { DeviceProof } from '../device/credentials.ts';

/** Tries every door with the device's own key, as the device would, and says what came back. */
export async function tryTheWire(receipt: Receipt, proof: DeviceProof, context: CommandContext): Promise<readonly Door[]> {
  const service = await readRunningService(context);
  const identity = { ...proof, authorities: await trustedAuthorities(context) };
  const doors: Door[] = [];
  for (const { name, globalEndpoint, idScope } of service.endpoints.dps) {
    for (const transport of openTransports(service)) {
      const door = { ...addressIn(globalEndpoint, deviceTransports[transport], service), ...identity };
      for (const registrationId of receipt.found.registrationIds) {
        doors.push(
          await tryOne({ side: 'provisioning', name, transport }, () =>
            registerOnce(deviceTransports[transport], door, { idScope, registrationId }),
          ),
        );
      }
    }
  }
  for (const { name, hostName } of service.endpoints.hubs) {
    for (const transport of openTransports(service)) {
      const { port } = addressIn(service.endpoints.dps[0]?.globalEndpoint ?? hostName, deviceTransports[transport], service);
      const door = { hostName, port, ...identity };
      for (const deviceId of receipt.found.deviceIds) {
        doors.push(await tryOne({ side: 'hub', name, transport }, () => connectOnce(deviceTransports[transport], door, deviceId)));
      }
    }
  }
  return doors;
}

/** Those whose ports are bound. */
function openTransports({ endpoints }: RunningService): readonly TransportName[] {
  return transportNames.filter((name) => endpoints.ports[deviceTransports[name].door] !== undefined);
}

/** What came back: words of a refusal, or `undefined` when it was let in. */
type Attempt = () => Promise<string | undefined>;

async function tryOne(where: Pick<Door, 'side' | 'name' | 'transport'>, attempt: Attempt): Promise<Door> {
  const says = await refusalOf(attempt);
  return {
    ...where,
    credential: 'its certificate',
    verdict: says === undefined ? 'let-in' : 'refused',
    says: says ?? 'let in',
    why: '',
    evaluated: 'wire',
  };
}

async function refusalOf(attempt: Attempt): Promise<string | undefined> {
  try {
    return await attempt();
  } catch (error) {
    // A door that does not answer refuses as well, and says so.
    if (error instanceof Refusal || error instanceof CliFailure) return error.message;
    throw error;
  }
}

async function registerOnce(
  transport: DeviceTransport,
  door: DeviceDoor,
  identity: { readonly idScope: string; readonly registrationId: string },
): Promise<string | undefined> {
  const conversation = await transport.provision(door, identity);
  try {
    const outcome = await register(conversation);
    return outcome.kind === 'refused' ? outcome.reason : undefined;
  } finally {
    await conversation.close();
  }
}

async function connectOnce(transport: DeviceTransport, door: DeviceDoor, deviceId: string): Promise<string | undefined> {
  const connection = await transport.connect(door, deviceId);
  try {
    // HTTPS and AMQP judge at the first use.
    await inTime(connection.send(jsonMessage('proof-of-refusal', { probe: true })), 'The answer of the hub');
    return undefined;
  } finally {
    await connection.close();
  }
}
