import { defineCommand } from '../../grammar/command.ts';
import { integer } from '../../grammar/option.ts';
import { basicsOf, issueOptions, namesOf, nameOptions, writeIssued } from './options.ts';

const defaultDays = 3650;

export const pkiRoot = defineCommand({
  name: 'pki root',
  summary: 'Make a root CA: a certificate and its private key.',
  examples: [{ text: 'Make a root in a folder of its own.', command: 'pki root --name root --out ./pki' }],
  options: {
    ...nameOptions,
    pathLength: integer(['--path-length'], 'How many intermediates may stand below it. Any number when absent.'),
    ...issueOptions(defaultDays),
  },
  async run(values) {
    const { createRootCertificate } = await import('../../../pki/issue.ts');
    const { name, commonName } = namesOf(values, 'root');
    const pathLength = values.pathLength === undefined ? {} : { pathLength: values.pathLength };
    const issued = await createRootCertificate({ commonName, ...basicsOf(values, defaultDays), ...pathLength });
    return writeIssued(name, issued, { ...values, chain: false });
  },
});
