import type { TextOutput } from '../cli/environment.ts';
import type { StartOptions } from '../cli/start-options.ts';
import { openMuster } from '../compose.ts';
import { loadConfig, type PartialConfig, quotasOf } from '../config/config.ts';
import type { Endpoints } from '../contracts/muster-endpoints.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { createPinoLogger } from '../runtime/pino-logger.ts';
import { randomIds } from '../runtime/random-ids.ts';
import { systemClock } from '../runtime/system-clock.ts';

export interface StartSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  readonly pid: number;
  /** Resolves with the name of the signal that asks for the end. */
  readonly ended: () => Promise<string>;
}

/**
 * Runs the service in this process until a signal ends it. Prints what a person needs and `ready` as a line of its own when
 * every door is open. Resolves with the exit code; a start that fails says why in one sentence.
 */
export async function startService(options: StartOptions, surroundings: StartSurroundings): Promise<number> {
  const { stdout, stderr, env } = surroundings;
  try {
    const config = loadConfig({
      environment: env,
      flags: flagsOf(options),
      ...(options.configFile === undefined ? {} : { file: options.configFile }),
    });
    const log = createPinoLogger({ level: config.logLevel });
    const muster = await openMuster(config, { clock: systemClock, ids: randomIds, log, pid: surroundings.pid });
    const endpoints = await muster.endpoints();
    stdout.write(`${renderEndpoints(endpoints, config.data).join('\n')}\n`);
    for (const notice of muster.notices) stdout.write(`note: ${notice}\n`);
    stdout.write('ready\n');
    const signal = await surroundings.ended();
    stdout.write(`stopping (${signal})\n`);
    await muster.close();
    return 0;
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    stderr.write(`ERROR: ${error.message}\n`);
    return 1;
  }
}

function flagsOf(options: StartOptions): PartialConfig {
  const { https, mqtts, amqps, api } = options.ports;
  const ports = {
    ...(https === undefined ? {} : { https }),
    ...(mqtts === undefined ? {} : { mqtt: mqtts }),
    ...(amqps === undefined ? {} : { amqp: amqps }),
    ...(api === undefined ? {} : { api }),
  };
  const certificate = options.serverCertificate;
  return {
    data: options.dataFolder,
    ports,
    ...(options.bind === undefined ? {} : { bind: [...options.bind] }),
    ...(options.dps === undefined ? {} : { dps: [...options.dps] }),
    ...(options.hubs === undefined ? {} : { hubs: [...options.hubs] }),
    ...(options.skipBusyPorts === undefined ? {} : { skipBusyPorts: options.skipBusyPorts }),
    ...(certificate === undefined ? {} : { serverCertificate: certificate.certificateFile, serverKey: certificate.keyFile }),
    ...(options.quotas === undefined ? {} : { quotas: quotasOf(options.quotas) }),
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    ...(options.pollAfterSeconds === undefined ? {} : { pollAfterSeconds: options.pollAfterSeconds }),
    ...(options.requireVerifiedCa === undefined ? {} : { requireVerifiedCa: options.requireVerifiedCa }),
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
  };
}

function renderEndpoints(endpoints: Endpoints, dataFolder: string): readonly string[] {
  const { https, mqtts, amqps, api } = endpoints.ports;
  const port = (name: string, value: number | undefined): string => `${name} ${value ?? 'off'}`;
  return [
    `Muster, data in ${dataFolder}`,
    `  ports   ${[port('https', https), port('mqtt', mqtts), port('amqp', amqps), port('api', api)].join(', ')}`,
    ...endpoints.dps.flatMap((dps) => [
      `  dps     ${dps.name}: id scope ${dps.idScope}, device endpoint ${dps.globalEndpoint}`,
      `          ${dps.serviceConnectionString}`,
    ]),
    ...endpoints.hubs.flatMap((hub) => [`  hub     ${hub.name}: ${hub.hostName}`, `          ${hub.connectionString}`]),
    `  trust   ${endpoints.ca} (for Node: NODE_EXTRA_CA_CERTS)`,
  ];
}
