import { transportNames } from '../../../contracts/transport.ts';
import { renderRows } from '../../output/layout.ts';
import { type Step, targetId } from '../stage.ts';
import { firstSentence } from '../words.ts';

export const showRefusal: Step = {
  title: 'What the device sees now, over every protocol',
  async run({ screen, ledger, fleet }) {
    const sensor = fleet().sensor(targetId);
    const { hubHostName } = sensor.post();
    const attempts = await Promise.all(
      transportNames.map(async (transport) => {
        const [registered, refusal] = await Promise.all([sensor.register(transport), sensor.knock(transport, hubHostName)]);
        return { transport, registered, refusal };
      }),
    );
    screen.say('It registers again:');
    const answers = attempts.map(({ transport, registered: { status, assignedHub, deviceId } }) => [
      transport,
      status,
      `'${assignedHub}'`,
      `'${deviceId}'`,
    ]);
    screen.output(renderRows(['over', 'status', 'assignedHub', 'deviceId'], answers));
    screen.say('It goes to its hub without asking:');
    for (const { transport, refusal } of attempts) screen.fact(transport, refusal === undefined ? 'let in' : firstSentence(refusal));

    const refused = attempts.filter(({ registered }) => registered.status === 'disabled' && registered.assignedHub === '');
    ledger.record('refused', refused.length === attempts.length, `status disabled, no hub: ${namesOf(refused)}`);
    const shut = attempts.filter(({ refusal }) => refusal !== undefined);
    ledger.record('shut', shut.length === attempts.length, namesOf(shut));
  },
};

function namesOf(attempts: readonly { readonly transport: string }[]): string {
  return attempts.map(({ transport }) => transport).join(', ') || 'none';
}
