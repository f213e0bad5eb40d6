import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Endpoints } from '../../contracts/muster-endpoints.ts';
import type { CommandContext } from '../context.ts';
import { failure } from '../exit-code.ts';
import { codeOf } from './system-error.ts';

/** What a running service wrote into its data folder. */
export interface RunningService {
  readonly endpoints: Endpoints;
  /** PEM text of the CA that issued its server certificate. */
  readonly ca: string;
}

/** Reads where the service of the data folder is. Throws a sentence that says how to start it. */
export async function readRunningService(context: Pick<CommandContext, 'dataFolder'>): Promise<RunningService> {
  const service = await findRunningService(context);
  if (service === undefined) throw failure(notRunning(context.dataFolder));
  return service;
}

/** The same; `undefined` when no service ever ran there. */
export async function findRunningService({ dataFolder }: Pick<CommandContext, 'dataFolder'>): Promise<RunningService | undefined> {
  const text = await readIfThere(join(dataFolder, 'endpoints.json'));
  if (text === undefined) return undefined;
  const endpoints = parseEndpoints(text, dataFolder);
  const ca = await readIfThere(endpoints.ca);
  if (ca === undefined) throw failure(`The CA certificate ${endpoints.ca} is missing, so the service cannot be trusted. Start it again.`);
  return { endpoints, ca };
}

/** The secret that opens Muster's own API; only the owner of the data folder can read it. */
export async function readApiToken({ dataFolder }: Pick<CommandContext, 'dataFolder'>): Promise<string> {
  const token = (await readIfThere(join(dataFolder, 'api-token')))?.trim();
  if (token === undefined || token === '') throw failure(notRunning(dataFolder));
  return token;
}

/** One sentence for a service that is not there. */
export function notRunning(dataFolder: string): string {
  return `No service is running with the data folder ${dataFolder}. Start it with 'muster start --data ${dataFolder}', or name another folder with --data or MUSTER_DATA.`;
}

function parseEndpoints(text: string, dataFolder: string): Endpoints {
  try {
    return JSON.parse(text) as Endpoints;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw failure(`${join(dataFolder, 'endpoints.json')} is damaged. Start the service again; it writes the file anew.`);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EACCES') throw failure(`${path} cannot be read by this user. Run muster as the user who started the service.`);
    throw error;
  }
}
