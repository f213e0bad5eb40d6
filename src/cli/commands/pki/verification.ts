import { defineCommand } from '../../grammar/command.ts';
import { required, text } from '../../grammar/option.ts';
import { checkFileName } from './files.ts';
import { basicsOf, issueOptions, issuerOptions, issuing, nameOptions, readIssuer, writeIssued } from './options.ts';

const defaultDays = 30;

export const pkiVerification = defineCommand({
  name: 'pki verification',
  summary: 'Make the certificate that proves that you hold the key of a CA.',
  examples: [
    {
      text: 'Answer a verification code.',
      command: 'pki verification --code {code} --issuer ./pki/root.cert.pem --issuer-key ./pki/root.key.pem --out ./pki',
    },
  ],
  options: {
    code: required(text(['--code'], 'Verification code of the uploaded CA certificate; becomes the common name.')),
    name: { ...nameOptions.name, help: 'Base name of the files.', defaultText: 'verification' },
    ...issuerOptions,
    ...issueOptions(defaultDays),
  },
  async run(values) {
    const { createVerificationCertificate } = await import('../../../pki/issue.ts');
    const name = checkFileName(values.name ?? 'verification');
    const issuer = await readIssuer(values);
    const issued = await issuing(() =>
      createVerificationCertificate({ verificationCode: values.code, ...basicsOf(values, defaultDays), issuer }),
    );
    return writeIssued(name, issued, { ...values, chain: false });
  },
});
