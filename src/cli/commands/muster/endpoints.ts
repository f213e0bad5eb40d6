import { connect } from 'node:net';

import type { Endpoints } from '../../../contracts/muster-endpoints.ts';
import type { Json } from '../../../kernel/json.ts';
import { lookupName } from '../../client/local-names.ts';
import { notRunning, readRunningService } from '../../client/running-service.ts';
import { exitCodes, failure } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { flag } from '../../grammar/option.ts';

export const endpoints = defineLiveCommand({
  name: 'endpoints',
  summary: 'Show where the running service is, and the connection strings for it.',
  examples: [
    { text: 'Show everything.', command: 'endpoints' },
    { text: 'Show it for a script.', command: 'endpoints --data ./data --json' },
    { text: 'Show the path of the CA certificate, and nothing else.', command: 'endpoints --query ca -o tsv' },
  ],
  options: { json: flag(['--json'], 'Print JSON; --output and --query print their own.') },
  async run({ json }, context) {
    const { endpoints: found } = await readRunningService(context);
    if (!(await answers(found))) throw failure(notRunning(context.dataFolder));
    if (json === true || context.isForProgram) return { value: toJson(found) };
    for (const line of describeEndpoints(found)) context.print(line);
    return exitCodes.ok;
  },
});

/** What came out of a JSON file is JSON; its interface does not say so. */
const toJson = (found: Endpoints): Json => found as unknown as Json;

/** The file stays behind when a service is killed, so whether it is true takes a look at a door. */
async function answers({ api, ports }: Endpoints): Promise<boolean> {
  const host = api.url === '' ? 'localhost' : new URL(api.url).hostname.replace(/^\[|\]$/gu, '');
  for (const port of Object.values(ports)) {
    if (await isOpen(host, port)) return true;
  }
  return false;
}

function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, lookup: lookupName, timeout: 2000 });
    const end = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}

function describeEndpoints(found: Endpoints): readonly string[] {
  return [
    ...found.dps.flatMap((dps) => [
      `provisioning service ${dps.name}`,
      `  ID scope           ${dps.idScope}`,
      `  device endpoint    ${dps.globalEndpoint}`,
      `  connection string  ${dps.serviceConnectionString}`,
    ]),
    ...found.hubs.flatMap((hub) => [
      `hub ${hub.name}`,
      `  host name          ${hub.hostName}`,
      `  connection string  ${hub.connectionString}`,
    ]),
    `ports                ${Object.entries(found.ports)
      .map(([door, port]) => `${door} ${port}`)
      .join(', ')}`,
    `API                  ${found.api.url}`,
    `CA certificate       ${found.ca}`,
  ];
}
