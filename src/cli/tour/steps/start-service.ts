import { elementsOf, textAt } from '../member.ts';
import { dpsName, hubNameOf, hubs, type Step } from '../stage.ts';

const doors = ['https', 'mqtt', 'amqp', 'api'] as const;

export const startService: Step = {
  title: 'A service of our own, on free ports, with two hubs',
  async run({ screen, shell, ledger, startService }) {
    const ports = doors.map((door) => `--${door}-port 0`).join(' ');
    const names = hubs.map(({ name, hostName }) => `--hub ${name}=${hostName}`).join(' ');
    await startService(`start --bind 127.0.0.1 ${ports} ${names}`);

    const endpoints = await shell.look('endpoints --json');
    const port = (name: string): string => `${name} ${textAt(endpoints, 'ports', name)}`;
    screen.fact('ports', ['https', 'mqtts', 'amqps', 'api'].map(port).join(', '));
    screen.fact('ID scope', `${textAt(endpoints, 'dps', 0, 'idScope')} of ${textAt(endpoints, 'dps', 0, 'name')}`);

    const list = `iot dps linked-hub list --dps-name ${dpsName}`;
    await shell.show(`${list} --query '[].{hub:name, weight:allocationWeight}' -o table`);
    const linked = elementsOf(await shell.look(list)).map((hub) => textAt(hub, 'name'));
    const held = hubs.every(({ hostName }) => linked.includes(hostName));
    ledger.record('hubs', held, `${linked.map(hubNameOf).join(' and ')} linked to ${dpsName}`);
  },
};
