import { transportNames } from '../../../contracts/transport.ts';
import { findRunningService } from '../../client/running-service.ts';
import { trustedAuthorities } from '../../client/trust.ts';
import { addressIn } from '../../device/address.ts';
import { createSteps } from '../../device/steps.ts';
import { usageError } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { choice, flag, integer, secondsOption, text } from '../../grammar/option.ts';
import { readProof } from './credentials.ts';
import { serviceOf } from './service-address.ts';

const group = 'Service';

export const deviceRun = defineLiveCommand({
  name: 'device run',
  summary: 'Run a simulated device: register, connect to the assigned hub, read the twin, report, send telemetry.',
  details: 'Prints a line per step. When the device is refused, or loses its connection, the last line says why, and the exit code is 1.',
  examples: [
    { text: 'Run a device once.', command: 'device run --certificate ./pki/sensor-thl-002.cert.pem --key ./pki/sensor-thl-002.key.pem' },
    { text: 'Run one with a symmetric key.', command: 'device run --registration-id device-001 --symmetric-key @device-001.key' },
    {
      text: 'Stay connected over AMQP, and see when the connection is taken away.',
      command: 'device run --certificate ./pki/sensor-thl-002.chain.pem --key ./pki/sensor-thl-002.key.pem --transport amqp --stay',
    },
  ],
  options: {
    certificate: text(
      ['--certificate', '--cp', '--certificate-path'],
      'PEM file with the certificate of the device, its issuers may follow.',
    ),
    key: text(['--key', '--kp'], 'PEM file with the private key of the device.'),
    symmetricKey: text(['--symmetric-key', '--sk'], 'Symmetric key of the device in base64, or @file; in place of a certificate.'),
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
    const { commonName, ...proof } = await readProof(values);
    const registrationId = values.registrationId ?? commonName;
    if (registrationId === undefined)
      throw usageError('No common name of a certificate tells the registration ID. Give --registration-id.');
    const service = await findRunningService(context);
    const { idScope, host } = serviceOf(values, service, context);
    return simulate({
      transport,
      door: { ...addressIn(host, transport, service), ...proof, authorities: await trustedAuthorities(context) },
      idScope,
      registrationId,
      messages,
      intervalSeconds: values.interval ?? 1,
      stay: values.stay ?? false,
      steps: createSteps(context.print, values.json ?? false),
    });
  },
});
