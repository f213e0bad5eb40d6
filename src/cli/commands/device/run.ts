import { transportNames } from '../../../contracts/transport.ts';
import { findRunningService, notRunning, type RunningService } from '../../client/running-service.ts';
import { trustedAuthorities } from '../../client/trust.ts';
import type { CommandContext } from '../../context.ts';
import type { DeviceTransport } from '../../device/door.ts';
import { createSteps } from '../../device/steps.ts';
import { failure, notFound, usageError } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { choice, flag, integer, required, secondsOption, text } from '../../grammar/option.ts';
import { readDeviceCredentials } from './credentials.ts';

const group = 'Service';

export const deviceRun = defineLiveCommand({
  name: 'device run',
  summary: 'Run a simulated device: register, connect to the assigned hub, read the twin, report, send telemetry.',
  details: 'Prints a line per step. When the device is refused, or loses its connection, the last line says why, and the exit code is 1.',
  examples: [
    { text: 'Run a device once.', command: 'device run --certificate ./pki/sensor-thl-002.cert.pem --key ./pki/sensor-thl-002.key.pem' },
    {
      text: 'Stay connected over AMQP, and see when the connection is taken away.',
      command: 'device run --certificate ./pki/sensor-thl-002.chain.pem --key ./pki/sensor-thl-002.key.pem --transport amqp --stay',
    },
  ],
  options: {
    certificate: required(
      text(['--certificate', '--cp', '--certificate-path'], 'PEM file with the certificate of the device, its issuers may follow.'),
    ),
    key: required(text(['--key', '--kp'], 'PEM file with the private key of the device.')),
    registrationId: text(['--registration-id', '--rid'], 'Registration ID. Default: the common name of the certificate.'),
    transport: choice(['--transport'], transportNames, 'How to reach the service.', { defaultText: 'mqtt' }),
    messages: integer(['--messages'], 'How many telemetry messages to send.', { defaultText: '3' }),
    interval: secondsOption(['--interval'], 'Seconds between messages; fractions are allowed.', { defaultText: '1' }),
    stay: flag(['--stay'], 'Stay connected after the last message.'),
    json: flag(['--json'], 'Print a JSON object per step.'),
    idScope: text(['--id-scope', '--scope'], 'ID scope. Default: that of the service of the data folder.', { group }),
    host: text(['--host', '--provisioning-host'], 'HOST[:PORT] of the provisioning service. Default: that of the data folder.', { group }),
    dpsName: text(['--dps-name', '-n'], 'Which provisioning service of the data folder, if it has several.', { group }),
  },
  async run(values, context) {
    // Most commands are no device, and need not wait until the code of one is loaded.
    const [{ simulate }, { deviceTransports }] = await Promise.all([
      import('../../device/simulate.ts'),
      import('../../device/transports.ts'),
    ]);
    const transport = deviceTransports[values.transport ?? 'mqtt'];
    if (values.stay === true && transport.name === 'https')
      throw usageError('--stay needs a connection, and HTTPS has none. Choose another --transport.');
    const messages = values.messages ?? 3;
    if (messages < 0) throw usageError('argument --messages: must be 0 or more.');
    const { certificate, key, commonName } = await readDeviceCredentials(values.certificate, values.key);
    const registrationId = values.registrationId ?? commonName;
    if (registrationId === undefined)
      throw usageError(`The certificate in ${values.certificate} has no common name. Give --registration-id.`);
    const service = await findRunningService(context);
    const { idScope, host } = serviceOf(values, service, context);
    return simulate({
      transport,
      door: { ...addressIn(host, transport, service), certificate, key, authorities: await trustedAuthorities(context) },
      idScope,
      registrationId,
      messages,
      intervalSeconds: values.interval ?? 1,
      stay: values.stay ?? false,
      steps: createSteps(context.print, values.json ?? false),
    });
  },
});

interface ServiceChoice {
  readonly idScope: string | undefined;
  readonly host: string | undefined;
  readonly dpsName: string | undefined;
}

function serviceOf(
  { idScope, host, dpsName }: ServiceChoice,
  service: RunningService | undefined,
  { dataFolder }: CommandContext,
): { readonly idScope: string; readonly host: string } {
  if (idScope !== undefined && host !== undefined) return { idScope, host };
  if (service === undefined) throw failure(`${notRunning(dataFolder)} Or give --id-scope and --host.`);
  const candidates = service.endpoints.dps.filter(({ name }) => dpsName === undefined || name.toLowerCase() === dpsName.toLowerCase());
  const names = service.endpoints.dps.map(({ name }) => name).join(', ');
  const [chosen, ...others] = candidates;
  if (chosen === undefined) throw notFound(`There is no provisioning service '${dpsName ?? ''}' in ${dataFolder}. There is: ${names}.`);
  if (others.length > 0) throw usageError(`There are several provisioning services: ${names}. Choose one with --dps-name.`);
  return { idScope: idScope ?? chosen.idScope, host: host ?? chosen.globalEndpoint };
}

/** The port that was written down, else that of the running service, else the one that every client has. */
function addressIn(
  host: string,
  { name, door, defaultPort }: DeviceTransport,
  service: RunningService | undefined,
): { readonly hostName: string; readonly port: number } {
  const match = /^(.+?)(?::(\d{1,5}))?$/u.exec(host);
  const hostName = match?.[1] ?? host;
  const known = service?.endpoints.dps.some(
    ({ globalEndpoint }) => globalEndpoint === host || (match?.[2] === undefined && globalEndpoint.replace(/:\d+$/u, '') === hostName),
  );
  if (known !== true) return { hostName, port: match?.[2] === undefined ? defaultPort : Number(match[2]) };
  const port = service?.endpoints.ports[door];
  if (port === undefined)
    throw failure(`The running service has no door for ${name}. Choose another --transport, or start it with that door.`);
  return { hostName, port };
}
