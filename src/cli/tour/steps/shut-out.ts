import type { Json } from '../../../kernel/json.ts';
import { textAt } from '../member.ts';
import { denyName, dpsName, type Step, targetId } from '../stage.ts';
import { deleteIdentity } from './delete-identity.ts';

export const shutOut: Step = {
  title: `Shut out ${targetId}, and nobody else`,
  async run(stage) {
    const { screen, shell } = stage;
    screen.say('An entry for its certificate, disabled. The entry may be called anything: the certificate is what counts.');
    const printed = await shell.run(
      `iot dps enrollment create --dps-name ${dpsName} --enrollment-id ${denyName} --attestation-type x509 --certificate-path pki/${targetId}.cert.pem --provisioning-status disabled`,
    );
    const entry = JSON.parse(printed) as Json;
    const certificate = ['attestation', 'x509', 'clientCertificates', 'primary', 'info'];
    screen.fact('entry', `${textAt(entry, 'registrationId')}, provisioningStatus ${textAt(entry, 'provisioningStatus')}`);
    screen.fact('for', `${textAt(entry, ...certificate, 'subjectName')}, SHA-1 ${textAt(entry, ...certificate, 'sha1Thumbprint')}`);
    screen.say('It may not register any more, but it is still connected. So its identity goes, and the connection with it.');
    await deleteIdentity(stage);
  },
};
