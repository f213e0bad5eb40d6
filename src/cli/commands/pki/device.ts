import { defineCommand } from '../../grammar/command.ts';
import { basicsOf, issueOptions, issuerOptions, issuing, namesOf, nameOptions, readIssuer, writeIssued } from './options.ts';

const defaultDays = 365;

export const pkiDevice = defineCommand({
  name: 'pki device',
  summary: 'Make the certificate of a device; its common name is the registration ID.',
  examples: [
    {
      text: 'Make a device certificate below an intermediate.',
      command: 'pki device --name sensor-thl-002 --issuer ./pki/factory-1.chain.pem --issuer-key ./pki/factory-1.key.pem --out ./pki',
    },
    { text: 'Make a self-signed one, for an individual enrollment.', command: 'pki device --name sensor-thl-002' },
  ],
  options: { ...nameOptions, ...issuerOptions, ...issueOptions(defaultDays) },
  async run(values) {
    const { createDeviceCertificate } = await import('../../../pki/issue.ts');
    const { name, commonName } = namesOf(values);
    const selfSigned = values.issuer === undefined && values.issuerKey === undefined;
    const issuer = selfSigned ? {} : { issuer: await readIssuer(values) };
    const issued = await issuing(() => createDeviceCertificate({ commonName, ...basicsOf(values, defaultDays), ...issuer }));
    return writeIssued(name, issued, { ...values, chain: true });
  },
});
