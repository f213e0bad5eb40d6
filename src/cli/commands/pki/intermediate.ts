import { defineCommand } from '../../grammar/command.ts';
import { integer } from '../../grammar/option.ts';
import { basicsOf, issueOptions, issuerOptions, issuing, namesOf, nameOptions, readIssuer, writeIssued } from './options.ts';

const defaultDays = 1825;

export const pkiIntermediate = defineCommand({
  name: 'pki intermediate',
  summary: 'Make an intermediate CA below another.',
  examples: [
    {
      text: 'Make an intermediate below the root.',
      command: 'pki intermediate --name factory-1 --issuer ./pki/root.cert.pem --issuer-key ./pki/root.key.pem --out ./pki',
    },
  ],
  options: {
    ...nameOptions,
    pathLength: integer(['--path-length'], 'How many further intermediates may stand below it. Any number when absent.'),
    ...issuerOptions,
    ...issueOptions(defaultDays),
  },
  async run(values) {
    const { createIntermediateCertificate } = await import('../../../pki/issue.ts');
    const { name, commonName } = namesOf(values, 'intermediate');
    const issuer = await readIssuer(values);
    const pathLength = values.pathLength === undefined ? {} : { pathLength: values.pathLength };
    const issued = await issuing(() =>
      createIntermediateCertificate({ commonName, ...basicsOf(values, defaultDays), ...pathLength, issuer }),
    );
    return writeIssued(name, issued, { ...values, chain: true });
  },
});
