import { trustedAuthorities } from '../../client/trust.ts';
import { findHub } from '../../client/targets.ts';
import type { CommandContext } from '../../context.ts';
import type { DeviceDoor } from '../../device/door.ts';
import { usageError } from '../../exit-code.ts';
import { text } from '../../grammar/option.ts';
import { type DeviceProof, readProof } from '../device/credentials.ts';
import { deviceIdOption, devicePath, hubTarget, openHub } from '../hub-options.ts';
import { symmetricKeyOf } from '../iot-hub-identity/symmetric-key.ts';
import { readPairs } from '../pairs.ts';
import { applicationHeader, isSystemProperty, systemPropertyNames, systemPropertyOfHeader } from '../../device/message.ts';

const group = 'Device Authentication';

/** What commands that speak as a device take. */
export const deviceSide = {
  deviceId: deviceIdOption,
  symmetricKey: text(['--symmetric-key', '--key'], 'Symmetric key of the device. It takes precedence over a certificate.', { group }),
  certificate: text(['--certificate-file-path', '--cp'], 'PEM file with the certificate of the device, its issuers may follow.', { group }),
  key: text(['--key-file-path', '--kp'], 'PEM file with the private key of the device.', { group }),
  passphrase: text(['--passphrase', '--pass'], 'Pass phrase of the private key.', { group }),
  modelId: text(['--model-id', '--dtmi'], 'Digital twin model that the device says it is, over MQTT.', { group: 'Digital Twin' }),
  ...hubTarget,
} as const;

interface Given {
  readonly deviceId: string;
  readonly symmetricKey: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly passphrase: string | undefined;
  readonly modelId: string | undefined;
  readonly hubName: string | undefined;
  readonly login: string | undefined;
}

/** The hub's HTTPS door, which also takes MQTT, and what the device shows there. */
export async function openDoor(given: Given, protocol: 'mqtt' | 'http', context: CommandContext): Promise<DeviceDoor> {
  const { modelId } = given;
  if (modelId !== undefined) checkModel(modelId, protocol);
  const { hostName } = await findHub({ name: given.hubName, login: given.login }, context);
  const [, name = hostName, port = '443'] = /^(.+?)(?::(\d{1,5}))?$/u.exec(hostName) ?? [];
  const { commonName: _commonName, ...proof } = await proofOf(given, protocol, context);
  return {
    hostName: name,
    port: Number(port),
    authorities: await trustedAuthorities(context),
    ...proof,
    ...(modelId === undefined ? {} : { modelId }),
  };
}

/** What was given, else what the hub knows: az signs requests over HTTPS with the key of its policy, and connects with that of the device. */
async function proofOf(given: Given, protocol: 'mqtt' | 'http', context: CommandContext): Promise<DeviceProof> {
  const { symmetricKey, certificate, key, passphrase, deviceId } = given;
  if (symmetricKey !== undefined) return await readProof({ symmetricKey, certificate: undefined, key: undefined });
  if (certificate !== undefined || key !== undefined || passphrase !== undefined) return await readProof(given);
  if (protocol === 'http') {
    const policy = await findHub({ name: given.hubName, login: given.login }, context);
    return { symmetricKey: policy.sharedAccessKey, keyName: policy.sharedAccessKeyName };
  }
  const service = await openHub(given, context);
  const found = symmetricKeyOf(await service.send({ method: 'GET', path: devicePath(deviceId) }));
  if (found !== undefined) return { symmetricKey: found };
  throw usageError(`The device ${deviceId} has no symmetric key. Give --certificate-file-path and --key-file-path.`);
}

function checkModel(modelId: string, protocol: 'mqtt' | 'http'): void {
  if (protocol === 'http') throw usageError('argument --model-id/--dtmi: only a connection over MQTT carries it.');
  if (!/^dtmi:[a-z](?:\w*[a-z\d])?(?::[a-z](?:\w*[a-z\d])?)*;[1-9]\d{0,8}$/iu.test(modelId))
    throw usageError(`argument --model-id/--dtmi: '${modelId}' is not a model ID like 'dtmi:com:example:Thermostat;1'.`);
}

/** Properties as `key=value;$.cid=value2`. */
export function readProperties(given: string | undefined): Readonly<Record<string, string>> {
  const pairs = readPairs(given, '--properties');
  const unknown = Object.keys(pairs).find((name) => name.startsWith('$.') && !isSystemProperty(name));
  if (unknown === undefined) return pairs;
  throw usageError(`argument --properties: there is no system property ${unknown}. There is: ${systemPropertyNames.join(', ')}.`);
}

/** Properties as az has them over HTTPS, where they are headers: `iothub-app-key=value;iothub-correlationid=value2`. */
export function readHeaderProperties(given: string | undefined): Readonly<Record<string, string>> {
  const named = Object.entries(readPairs(given, '--properties')).map(([name, value]) => {
    const system = isSystemProperty(name) ? name : systemPropertyOfHeader(name);
    if (system !== undefined) return [system, value] as const;
    if (name.toLowerCase().startsWith(applicationHeader)) return [name.slice(applicationHeader.length), value] as const;
    throw usageError(
      `argument --properties: over HTTPS '${name}' carries nothing. An application property is written ${applicationHeader}${name}.`,
    );
  });
  return Object.fromEntries(named);
}
