import { parseConnectionString, type ServiceConnectionString } from '../../contracts/connection-string.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { CommandContext } from '../context.ts';
import { failure, notFound, usageError } from '../exit-code.ts';
import { findRunningService, readRunningService, type RunningService } from './running-service.ts';
import { createServiceClient, type ServiceClient } from './service-client.ts';
import { trustedAuthorities } from './trust.ts';

/** How a command names the service that it is for. */
export interface TargetChoice {
  readonly name: string | undefined;
  readonly login: string | undefined;
}

/** The provisioning service API (api-version of az). */
export async function openDpsService(choice: TargetChoice, context: CommandContext): Promise<ServiceClient> {
  const connection = await connectionOf(choice, context, dpsKind);
  return openService(connection, context, '2021-10-01');
}

/** The hub service API (api-version of az). */
export async function openHubService(choice: TargetChoice, context: CommandContext): Promise<ServiceClient> {
  return openService(await findHub(choice, context), context, '2021-04-12');
}

/** The hub's connection string, with the port of its HTTPS door unless that is 443. */
export function findHub(choice: TargetChoice, context: CommandContext): Promise<ServiceConnectionString> {
  return connectionOf(choice, context, hubKind);
}

/** The hub's connection string, and the port of its AMQP door: that of the running service, if the hub is one of its own. */
export async function findHubConnection(
  choice: TargetChoice,
  context: CommandContext,
): Promise<{ readonly connection: ServiceConnectionString; readonly amqpPort: number }> {
  const connection = await findHub(choice, context);
  const host = connection.hostName.replace(/:\d+$/u, '').toLowerCase();
  const endpoints = (await findRunningService(context))?.endpoints;
  const own = endpoints?.hubs.some(({ hostName }) => hostName.toLowerCase() === host) === true;
  const amqpPort = own ? endpoints?.ports.amqps : defaultAmqpPort;
  if (amqpPort === undefined) throw failure("The service was started without its AMQP door. Start it with '--amqp-port'.");
  return { connection, amqpPort };
}

const defaultAmqpPort = 5671;

interface Kind {
  readonly flag: string;
  readonly words: string;
  readonly known: (service: RunningService) => readonly { readonly name: string; readonly connectionString: string }[];
}

const dpsKind: Kind = {
  flag: '--dps-name/-n',
  words: 'provisioning service',
  known: ({ endpoints }) => endpoints.dps.map(({ name, serviceConnectionString }) => ({ name, connectionString: serviceConnectionString })),
};

const hubKind: Kind = { flag: '--hub-name/-n', words: 'hub', known: ({ endpoints }) => endpoints.hubs };

async function connectionOf({ name, login }: TargetChoice, context: CommandContext, kind: Kind): Promise<ServiceConnectionString> {
  if (login !== undefined) return readLogin(login);
  if (name === undefined) throw usageError(`the following arguments are required: ${kind.flag} or --login/-l.`);
  const service = await readRunningService(context);
  const known = kind.known(service);
  const match = known.find((candidate) => isNamed(candidate, name));
  if (match === undefined) {
    const names = known.map((candidate) => candidate.name).join(', ');
    throw notFound(`There is no ${kind.words} '${name}' in ${context.dataFolder}. There is: ${names === '' ? 'none' : names}.`);
  }
  return withPort(parseConnectionString(match.connectionString), service);
}

/** A name, a host name, or either with some other domain behind it: az cuts at the first dot as well. */
function isNamed(candidate: { readonly name: string; readonly connectionString: string }, wanted: string): boolean {
  const text = wanted.replace(/^https?:\/\//iu, '').toLowerCase();
  const { hostName } = parseConnectionString(candidate.connectionString);
  return [text, text.split('.')[0]].includes(candidate.name.toLowerCase()) || hostName.toLowerCase().replace(/:\d+$/u, '') === text;
}

function readLogin(text: string): ServiceConnectionString {
  try {
    return parseConnectionString(text);
  } catch (error) {
    throw error instanceof ServiceError ? usageError(`argument --login/-l: ${error.message}`) : error;
  }
}

/** The port where the service really listens, unless the connection string says one. */
export function withPort(connection: ServiceConnectionString, { endpoints }: RunningService): ServiceConnectionString {
  if (/:\d+$/u.test(connection.hostName)) return connection;
  const { https } = endpoints.ports;
  if (https === undefined) throw failure("The service was started without its HTTPS door. Start it with '--https-port'.");
  return https === 443 ? connection : { ...connection, hostName: `${connection.hostName}:${https}` };
}

async function openService(connection: ServiceConnectionString, context: CommandContext, apiVersion: string): Promise<ServiceClient> {
  const target = { origin: `https://${connection.hostName}`, authorities: await trustedAuthorities(context) };
  return createServiceClient({ connection, target, apiVersion, context });
}
