import { denyName, dpsName, hubNameOf, type Part, type Stage, type Step, targetId } from '../stage.ts';
import { inSeconds } from '../words.ts';
import { deleteIdentity, generationOf } from './delete-identity.ts';
import { whereabouts } from './show-whereabouts.ts';

const entry = `--dps-name ${dpsName} --enrollment-id ${denyName}`;

export const enableEntry: Step = {
  title: 'Enable the entry: the device comes back',
  async run(stage) {
    const { shell, ledger } = stage;
    const query = '{entry:registrationId, status:provisioningStatus}';
    await shell.show(`iot dps enrollment update ${entry} --provisioning-status enabled --readmit --query '${query}' -o table`);
    const back = await comeBack(stage, { registers: 'amqp-ws', connects: 'amqp-ws' });
    ledger.record('enabled', back.connected, back.words);
  },
};

export const deleteEntry: Step = {
  title: 'Delete the entry: it comes back through the group',
  async run(stage) {
    const { screen, shell, ledger, fleet } = stage;
    const before = await generationOf(shell, fleet().sensor(targetId).post().hubHostName);
    screen.say('To begin from nothing, its identity goes once more, this time under an AMQP connection.');
    await deleteIdentity(stage);
    await shell.run(`iot dps enrollment delete ${entry}`);
    const back = await comeBack(stage, { registers: 'mqtt-ws', connects: 'mqtt' });
    const throughGroup = (await whereabouts(shell)).has(targetId);
    const after = back.connected ? await generationOf(shell, fleet().sensor(targetId).post().hubHostName) : '';
    screen.fact('its group', throughGroup ? `lists ${targetId} again` : `does not list ${targetId}`);
    screen.fact('generationId', `${before} before, ${after} now`);
    const fresh = before !== '' && after !== '' && after !== before;
    ledger.record('deleted', back.connected && throughGroup && fresh, `${back.words}; generationId ${after}, was ${before}`);
  },
};

/** The device tries again by itself, as every device in the field does. */
async function comeBack(
  { screen, fleet }: Stage,
  { registers, connects }: Omit<Part, 'id'>,
): Promise<{ readonly connected: boolean; readonly words: string }> {
  const sensor = fleet().sensor(targetId);
  const registered = await sensor.register(registers);
  const answer = `${registers}: ${registered.status}`;
  if (registered.status !== 'assigned') {
    screen.fact(targetId, answer);
    return { connected: false, words: answer };
  }
  await sensor.connect(connects, registered.assignedHub);
  const hub = hubNameOf(registered.assignedHub);
  screen.fact(targetId, `${answer} to ${hub} in ${inSeconds(registered.milliseconds)}; connected over ${connects}`);
  return { connected: sensor.isConnected(), words: `${registers}, then ${connects}` };
}
