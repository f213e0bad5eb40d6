import { dpsName, type Step } from '../stage.ts';

export const provePossession: Step = {
  title: 'Upload the root, and prove that we hold its key',
  async run({ screen, shell, ledger }) {
    const target = `--dps-name ${dpsName} --certificate-name root`;
    const isVerified = '--query properties.isVerified';
    const before = await shell.show(`iot dps certificate create ${target} --path pki/root.cert.pem ${isVerified}`);
    const code = await shell.show(`iot dps certificate generate-verification-code ${target} --query properties.verificationCode -o tsv`);
    screen.say('A certificate with that code as its name, signed by the root, is the proof.');
    await shell.run(`pki verification --code ${code.trim()} --issuer pki/root.cert.pem --issuer-key pki/root.key.pem --out pki`);
    const after = await shell.show(`iot dps certificate verify ${target} --path pki/verification.cert.pem ${isVerified}`);
    const held = before.trim() === 'false' && after.trim() === 'true';
    ledger.record('possession', held, `isVerified ${before.trim()} before, ${after.trim()} after the proof`);
  },
};
