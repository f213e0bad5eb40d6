import { elementsOf, textAt } from '../member.ts';
import { cast, dpsName, groupName, hubNameOf, type Stage, type Step } from '../stage.ts';

const list = `iot dps enrollment-group registration list --dps-name ${dpsName} --enrollment-id ${groupName}`;

export const showWhereabouts: Step = {
  title: 'Who is where? The group knows',
  async run({ shell, ledger }) {
    await shell.show(`${list} --query '[].{device:deviceId, hub:assignedHub, status:status}' -o table`);
    const records = await whereabouts(shell);
    const found: string[] = [];
    for (const { id } of cast) {
      const hub = records.get(id) ?? '';
      if (await isThere(shell, id, hub)) found.push(`${id} on ${hubNameOf(hub)}`);
    }
    ledger.record('whereabouts', found.length === cast.length, found.join(', ') || 'no device was found');
  },
};

/** The hub of each device that the group let in. */
export async function whereabouts(shell: Stage['shell']): Promise<ReadonlyMap<string, string>> {
  const records = elementsOf(await shell.look(list)).filter((record) => textAt(record, 'status') === 'assigned');
  return new Map(records.map((record) => [textAt(record, 'deviceId'), textAt(record, 'assignedHub')]));
}

/** Whether that hub says that the device is connected to it. */
async function isThere(shell: Stage['shell'], id: string, hub: string): Promise<boolean> {
  if (hub === '') return false;
  const identity = await shell.look(`iot hub device-identity show --hub-name ${hub} --device-id ${id}`);
  return textAt(identity, 'connectionState') === 'Connected';
}
