import { resolve } from 'node:path';

import { usageError } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { choice, flag, integer, list, type Option, text } from '../../grammar/option.ts';
import { logLevels, type NamedHost, type PortChoice, type StartOptions } from '../../start-options.ts';

const doors = { group: 'Doors' } as const;

export const start = defineLiveCommand({
  name: 'start',
  summary: 'Start the service in this terminal; ends with Ctrl-C.',
  details:
    'Everything is kept in the data folder. An empty one gets a provisioning service dps-local and a hub hub-local, linked to each other. The service is ready when it prints ready.',
  examples: [
    { text: 'Start with the ports that clients have hard-wired.', command: 'start' },
    {
      text: 'Start where others have those ports, or root is out of reach.',
      command: 'start --data ./data --https-port 8444 --mqtt-port 8884 --amqp-port 5672',
    },
    { text: 'Start with two hubs.', command: 'start --hub hub-a=hub-a.azure-devices.localhost --hub hub-b=hub-b.azure-devices.localhost' },
  ],
  options: {
    dps: list(['--dps'], 'NAME[=HOSTNAME] of a provisioning service; repeatable.', { defaultText: 'dps-local' }),
    hub: list(['--hub'], 'NAME[=HOSTNAME] of a hub; repeatable. A host name needs a dot for some devices.', { defaultText: 'hub-local' }),
    httpsPort: port('--https-port', '443', 'HTTPS and WebSockets'),
    mqttPort: port('--mqtt-port', '8883', 'MQTT'),
    amqpPort: port('--amqp-port', '5671', 'AMQP'),
    apiPort: port('--api-port', '8443', "Muster's own API"),
    bind: list(['--bind', '--host'], 'Addresses to listen on.', { ...doors, defaultText: 'all of this machine' }),
    skipBusyPorts: flag(['--skip-busy-ports'], 'Start without the doors whose ports others have.', doors),
    serverCertificate: text(
      ['--server-certificate'],
      'PEM file with the server certificate and its chain. Issued by a local CA when absent.',
      doors,
    ),
    serverKey: text(['--server-key'], 'PEM file with the private key of the server certificate.', doors),
    config: text(['--config'], 'YAML file with the configuration; what is said here takes precedence.'),
    quotas: text(
      ['--quotas'],
      "Limits of a provisioning service: off, azure-s1 (what Azure documents), or numbers such as '{registrationsPerMinute: 100}'.",
      { defaultText: 'off' },
    ),
    workers: text(['--workers'], 'Processes that serve devices, on the same ports: a number, or auto for one per processor.', {
      defaultText: '1',
    }),
    pollAfterSeconds: integer(
      ['--poll-after-seconds'],
      'What devices are told to wait before they ask for the result of a registration: 1 to 30. Every SDK takes 2; Node and C take 1.',
      { defaultText: '2' },
    ),
    requireVerifiedCa: flag(
      ['--require-verified-ca'],
      "Azure's rule: certificates in line in enrollment groups count only below a verified CA certificate.",
    ),
    logLevel: choice(['--log-level'], logLevels, 'How much to log.'),
  },
  async run(values, { environment, dataFolder }) {
    const options: StartOptions = {
      dataFolder,
      ports: {
        ...(values.httpsPort === undefined ? {} : { https: values.httpsPort }),
        ...(values.mqttPort === undefined ? {} : { mqtts: values.mqttPort }),
        ...(values.amqpPort === undefined ? {} : { amqps: values.amqpPort }),
        ...(values.apiPort === undefined ? {} : { api: values.apiPort }),
      },
      ...(values.bind === undefined ? {} : { bind: values.bind }),
      ...(values.dps === undefined ? {} : { dps: readNames(values.dps, '--dps') }),
      ...(values.hub === undefined ? {} : { hubs: readNames(values.hub, '--hub') }),
      ...(values.skipBusyPorts === undefined ? {} : { skipBusyPorts: values.skipBusyPorts }),
      ...serverCertificateOf(values),
      ...(values.config === undefined ? {} : { configFile: resolve(values.config) }),
      ...(values.quotas === undefined ? {} : { quotas: values.quotas }),
      ...(values.workers === undefined ? {} : { workers: values.workers }),
      ...(values.pollAfterSeconds === undefined ? {} : { pollAfterSeconds: values.pollAfterSeconds }),
      ...(values.requireVerifiedCa === undefined ? {} : { requireVerifiedCa: values.requireVerifiedCa }),
      ...(values.logLevel === undefined ? {} : { logLevel: values.logLevel }),
    };
    return environment.startService(options);
  },
});

function port(name: string, usual: string, words: string): Option<PortChoice | undefined> {
  const option = text([name], `Port for ${words}: a number, 0 for any free one, or off.`, { ...doors, defaultText: usual });
  const read = (words: readonly string[] | undefined): PortChoice | undefined => {
    const word = option.read(words);
    if (word === undefined || word === 'off') return word;
    const number = Number(word);
    if (/^\d{1,5}$/u.test(word) && number <= 65_535) return number;
    throw usageError(`argument ${name}: '${word}' is neither a port (0 to 65535) nor off.`);
  };
  return { ...option, read };
}

function readNames(words: readonly string[], name: string): readonly NamedHost[] {
  return words.map((word) => {
    const match = /^([A-Za-z0-9][A-Za-z0-9-]{1,62}[A-Za-z0-9])(?:=([A-Za-z0-9][A-Za-z0-9.-]{0,251}))?$/u.exec(word);
    if (match?.[1] === undefined) throw usageError(`argument ${name}: '${word}' is not of the form NAME or NAME=HOSTNAME.`);
    return { name: match[1], ...(match[2] === undefined ? {} : { hostName: match[2] }) };
  });
}

function serverCertificateOf({
  serverCertificate,
  serverKey,
}: {
  readonly serverCertificate: string | undefined;
  readonly serverKey: string | undefined;
}): Pick<StartOptions, 'serverCertificate'> {
  if (serverCertificate === undefined && serverKey === undefined) return {};
  if (serverCertificate === undefined || serverKey === undefined)
    throw usageError('--server-certificate and --server-key go together. Provide both.');
  return { serverCertificate: { certificateFile: resolve(serverCertificate), keyFile: resolve(serverKey) } };
}
