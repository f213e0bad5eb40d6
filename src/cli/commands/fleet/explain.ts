import type { Explanation } from '../../../contracts/fleet/explanation.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import { exitCodes, usageError } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { text } from '../../grammar/option.ts';
import { createPage } from '../../output/page.ts';
import { deviceArgument, readDevice } from './device-argument.ts';
import { pastMoment } from './moment.ts';
import { showExplanation } from './explanation-page.ts';

export const explain = defineLiveCommand({
  name: 'explain',
  summary: 'Say why a device is let in or refused, and what to do about it.',
  details:
    'Asks the very code that decides at the door. Takes a certificate, a device, or the tracking id or operation id that a device logged; then it shows the decision as it was kept.',
  examples: [
    { text: 'Ask about a certificate.', command: 'explain ./sensor-thl-002.cert.pem' },
    { text: 'Ask about a device.', command: 'explain sensor-thl-002' },
    { text: 'Ask why it was let in yesterday.', command: 'explain sensor-thl-002 --at 24h' },
    { text: 'Ask about a refusal that a device logged.', command: 'explain 3f0c9f0e-7a51-4b62-9b0a-0c8b8f7f3a11' },
  ],
  options: {
    ...deviceArgument,
    registrationId: text(['--registration-id', '--rid'], 'Registration ID. Default: the common name of the certificate.'),
    dpsName: text(['--dps-name', '-n'], 'Which provisioning service. Default: all of them.'),
    at: pastMoment(['--at'], 'The decision as it was then, as far as the audit trail tells.'),
  },
  async run(values, context) {
    const subject = await readDevice(values);
    if (subject === undefined) throw usageError('Say what to explain: a device, a certificate, a tracking id or an operation id.');
    const api = await openMusterApi(context);
    const body = {
      subject,
      ...(values.registrationId === undefined ? {} : { registrationId: values.registrationId }),
      ...(values.dpsName === undefined ? {} : { instance: values.dpsName }),
      ...(values.at === undefined ? {} : { at: values.at }),
    };
    const answer = await api.send({ method: 'POST', path: '/explain', body });
    if (context.isForProgram) context.show(answer);
    // The service answers in this shape.
    else showExplanation(answer as unknown as Explanation, createPage(context.print, context.environment));
    return exitCodes.ok;
  },
});
