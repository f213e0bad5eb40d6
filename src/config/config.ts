import { readFileSync } from 'node:fs';
import { isIP, isIPv4 } from 'node:net';
import { resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { azureS1Quotas, quotaNumbers } from '../contracts/quotas.ts';
import { ServiceError } from '../kernel/service-error.ts';

const port = z
  .union([z.literal('off'), z.coerce.number().int().min(0).max(65_535)])
  .describe('A TCP port, 0 for any free one, or "off" to leave this door closed.');

const resourceName = z
  .string()
  .regex(
    /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,48}[a-zA-Z0-9])?$/u,
    'a name has 1 to 50 letters, digits and dashes, and begins and ends with a letter or digit',
  );

const hostName = z
  .string()
  .max(253)
  .regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?$/u, 'a host name has letters, digits, dashes and dots only, without a port');

const network = z.string().refine(isNetwork, 'a network is an address and the length of its prefix, such as 10.1.0.0/16 or 2001:db8::/32');

function isNetwork(text: string): boolean {
  const [address = '', bits = '', ...rest] = text.split('/');
  const longest = isIPv4(address) ? 32 : 128;
  return isIP(address) !== 0 && /^\d{1,3}$/u.test(bits) && Number(bits) <= longest && rest.length === 0;
}

const resource = z.strictObject({ name: resourceName, hostName: hostName.optional() });

/** Everything that can be configured, with safe defaults; unknown keys are errors. */
export const configSchema = z.strictObject({
  data: z
    .string()
    .min(1)
    .describe('Folder that holds the store, the local CA and secrets. Created on first start, readable by its owner only.'),
  bind: z
    .array(z.string().min(1))
    .min(1)
    .default(['::'])
    .describe('Addresses to listen on; "::" is every IPv4 and IPv6 address of the machine.'),
  ports: z
    .strictObject({ https: port.default(443), mqtt: port.default(8883), amqp: port.default(5671), api: port.default(8443) })
    .prefault({})
    .describe('Genuine clients have 443, 8883 and 5671 built in; 8443 is for Muster itself.'),
  skipBusyPorts: z.boolean().default(false).describe('Start the other doors when a port cannot be bound.'),
  serverCertificate: z.string().optional().describe('PEM file with the TLS certificate and its chain; without it the local CA issues one.'),
  serverKey: z.string().optional().describe('PEM file with the private key of serverCertificate.'),
  dps: z.array(resource).default([]).describe('Provisioning services to have; on an empty folder without any, dps-local.'),
  hubs: z.array(resource).default([]).describe('IoT hubs to have; on an empty folder without any, hub-local.'),
  requireVerifiedCa: z
    .boolean()
    .default(false)
    .describe("Azure's rule: only verified CA certificates are anchors, not those put in line into an enrollment group."),
  endSessionsWithCertificate: z
    .boolean()
    .default(false)
    .describe('Ends the session of a device when the certificate that it connected with expires, as sessions by token end with it.'),
  workers: z
    .union([z.literal('auto'), z.coerce.number().int().min(1).max(64)], { error: 'use auto, or a number from 1 to 64' })
    .default(1)
    .describe(
      'Processes that serve devices, all on the same ports: a number, or "auto" for one per processor. With 1 there is just one process.',
    ),
  bufferedMegabytes: z
    .number()
    .int()
    .min(16)
    .default(256)
    .describe(
      'What all MQTT and AMQP connections may buffer together, each being bounded by itself. While it is spent, new connections and new messages are refused.',
    ),
  allocationWebhooks: z
    .strictObject({
      timeoutSeconds: z
        .number()
        .min(1)
        .max(45)
        .default(20)
        .describe('For a whole answer. Devices give up after a minute, and the C# one over AMQP counts every poll.'),
      concurrentCalls: z
        .number()
        .int()
        .min(1)
        .max(1000)
        .default(32)
        .describe('How many are asked at a time, of which one host may have a quarter; others wait for their turn.'),
    })
    .prefault({})
    .describe('How webhooks of the allocation policy custom are called.'),
  eventWebhook: z
    .strictObject({
      url: z.url({ protocol: /^https?$/u }).describe('Where events are sent with POST, each at least once.'),
      secretFile: z
        .string()
        .min(1)
        .optional()
        .describe(
          'File with the secret that signs them, 16 characters or more; without it the data folder has one in event-webhook-secret.',
        ),
      timeoutSeconds: z.number().min(1).max(60).default(10).describe('For a whole answer.'),
    })
    .optional()
    .describe('Who is told when a device that is shut out tries to come back, or is let in again; nobody when absent.'),
  regions: z
    .strictObject({
      networks: z.record(network, z.string().min(1)).default({}).describe('Region of the devices by their network, such as 10.1.0.0/16.'),
      latencies: z
        .record(z.string().min(1), z.record(z.string().min(1), z.number().min(0)))
        .default({})
        .describe('Milliseconds by region of the device and then by location of the hub.'),
    })
    .prefault({})
    .describe('Where devices and hubs stand, for the allocation policy geoLatency.'),
  quotas: z
    .union([z.literal('off').transform(() => ({})), z.literal('azure-s1').transform(() => azureS1Quotas), quotaNumbers], {
      error: 'use off, azure-s1, or numbers of your own such as {registrationsPerMinute: 100}',
    })
    .default({})
    .describe('Limits of a provisioning service: "off", what Azure documents ("azure-s1"), or numbers of your own.'),
  pollAfterSeconds: z.coerce
    .number()
    .int()
    .min(1)
    .max(30)
    .default(2)
    .describe(
      'What a device that registers is told to wait before it asks for the result. 2 is the least that every SDK takes; 1 makes tests with the Node or C SDK faster, and C# write errors into its log.',
    ),
  auditRetentionDays: z.coerce
    .number()
    .int()
    .min(1)
    .max(36_500)
    .default(730)
    .describe('How long entries of the audit trail are kept. What retention removes is told in the trail, which can still be checked.'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
});

export type Config = z.output<typeof configSchema>;
/** Values as they come from one source; what is absent is left to the next source. */
export type PartialConfig = Partial<z.input<typeof configSchema>>;

/**
 * Defaults, then the YAML file, then the environment, then flags. Throws `ArgumentInvalid` with one line for each thing
 * that is wrong, naming the key and what was expected.
 */
export function loadConfig(sources: {
  readonly file?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly flags: PartialConfig;
}): Config {
  const fromFile = sources.file === undefined ? {} : readConfigFile(sources.file);
  const fromEnvironment = readEnvironment(sources.environment);
  const merged = {
    ...fromFile,
    ...fromEnvironment,
    ...sources.flags,
    ports: { ...fromFile.ports, ...fromEnvironment.ports, ...sources.flags.ports },
    ...joinWebhook(fromFile.eventWebhook, fromEnvironment.eventWebhook),
  };
  const parsed = configSchema.safeParse(merged);
  if (!parsed.success) throw invalid(parsed.error, sources.file);
  const config = parsed.data;
  if ((config.serverCertificate === undefined) !== (config.serverKey === undefined)) {
    throw new ServiceError('ArgumentInvalid', 'serverCertificate and serverKey belong together: give both PEM files or neither.');
  }
  return { ...config, data: resolve(config.data) };
}

/** The environment may give the address alone, and the file the rest; what is no object is left to the schema. */
function joinWebhook(file: PartialConfig['eventWebhook'], environment: PartialConfig['eventWebhook']): Pick<PartialConfig, 'eventWebhook'> {
  if (environment === undefined) return {};
  return { eventWebhook: { ...file, ...environment } };
}

function readConfigFile(path: string): PartialConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ServiceError('ArgumentInvalid', `The configuration file ${path} cannot be read: ${(error as Error).message}.`);
  }
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined)
    throw new ServiceError('ArgumentInvalid', `${path} is not valid YAML: ${problem.message.split('\n', 1)[0] ?? ''}`);
  const value: unknown = document.toJS() ?? {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new ServiceError('ArgumentInvalid', `${path} must hold keys and values, such as "data: /var/lib/muster".`);
  }
  return value as PartialConfig;
}

function readEnvironment(environment: Readonly<Record<string, string | undefined>>): PartialConfig {
  const value = (name: string): string | undefined => (environment[name] === '' ? undefined : environment[name]);
  const pairs = {
    https: value('MUSTER_HTTPS_PORT'),
    mqtt: value('MUSTER_MQTT_PORT'),
    amqp: value('MUSTER_AMQP_PORT'),
    api: value('MUSTER_API_PORT'),
  };
  const ports = Object.fromEntries(Object.entries(pairs).filter(([, text]) => text !== undefined));
  const data = value('MUSTER_DATA');
  const bind = value('MUSTER_BIND');
  const logLevel = value('MUSTER_LOG_LEVEL');
  const quotas = value('MUSTER_QUOTAS');
  const workers = value('MUSTER_WORKERS');
  const pollAfterSeconds = value('MUSTER_POLL_AFTER_SECONDS');
  const requireVerifiedCa = value('MUSTER_REQUIRE_VERIFIED_CA');
  const auditRetentionDays = value('MUSTER_AUDIT_RETENTION_DAYS');
  const webhook = { url: value('MUSTER_EVENT_WEBHOOK_URL'), secretFile: value('MUSTER_EVENT_WEBHOOK_SECRET_FILE') };
  const eventWebhook = Object.fromEntries(Object.entries(webhook).filter(([, text]) => text !== undefined));
  return {
    // A secret alone has the address in the file.
    ...(Object.keys(eventWebhook).length === 0 ? {} : { eventWebhook: eventWebhook as NonNullable<PartialConfig['eventWebhook']> }),
    ...(data === undefined ? {} : { data }),
    ...(bind === undefined ? {} : { bind: bind.split(',') }),
    ...(logLevel === undefined ? {} : { logLevel: logLevel as Config['logLevel'] }),
    ...(quotas === undefined ? {} : { quotas: quotasOf(quotas) }),
    ...(workers === undefined ? {} : { workers }),
    ...(pollAfterSeconds === undefined ? {} : { pollAfterSeconds }),
    ...(auditRetentionDays === undefined ? {} : { auditRetentionDays }),
    ...(requireVerifiedCa === undefined ? {} : { requireVerifiedCa: truthOf(requireVerifiedCa) }),
    ...(Object.keys(ports).length === 0 ? {} : { ports }),
  };
}

/** A name of quotas, or numbers of one's own as YAML (of which JSON is a part): `{registrationsPerMinute: 100}`. */
export function quotasOf(text: string): NonNullable<PartialConfig['quotas']> {
  const document = parseDocument(text);
  // What cannot be read stays text, which the schema refuses with the right words.
  return (document.errors.length > 0 ? text : document.toJS()) as NonNullable<PartialConfig['quotas']>;
}

/** What is neither `true` nor `false` is left to the schema to refuse. */
function truthOf(text: string): boolean {
  return (text === 'true' || text === 'false' ? text === 'true' : text) as boolean;
}

function invalid(error: z.ZodError, file: string | undefined): ServiceError {
  const lines = error.issues.map((issue) => {
    const key = issue.path.join('.') || 'configuration';
    return `${key}: ${issue.message}`;
  });
  const where = file === undefined ? '' : ` (file ${file}, environment and flags together)`;
  return new ServiceError('ArgumentInvalid', `The configuration is not usable${where}: ${lines.join('; ')}.`);
}
