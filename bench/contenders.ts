import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Endpoints } from '../src/contracts/muster-endpoints.ts';
import { type Material, serverName } from './material.ts';
import { programVersion, type ServerProcess, startServer } from './server-process.ts';
import { copyOf, patterns, program, runCli, type Template } from './template.ts';

/** A server that can be put under load. */
export interface Contender {
  readonly name: string;
  /** What it is, with its version; `undefined` when it is not installed. */
  describe(): string | undefined;
  /** How to have it. */
  readonly install: string;
  start(material: Material): Promise<Running>;
}

export interface Running {
  readonly server: ServerProcess;
  readonly ports: Readonly<Partial<Record<'https' | 'mqtt' | 'amqp' | 'tls', number>>>;
  /** Of Muster alone. */
  readonly muster?: MusterFacts;
  stop(): Promise<void>;
}

export interface MusterFacts {
  readonly folder: string;
  readonly idScope: string;
  /** A policy token for the hub's registry. */
  readonly registryToken: string;
}

const built = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const checkout = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

const bareServer = (name: string, what: string, port: 'tls' | 'https' | 'amqp'): Contender => ({
  name,
  describe: () => `${what}, Node ${process.versions.node}, OpenSSL ${process.versions.openssl}`,
  install: 'part of this checkout',
  start: async ({ server: { certificate, key } }) => {
    const number = await freePort();
    const server = await startServer({
      command: process.execPath,
      args: [built(`./servers/${name}.js`), String(number), certificate, key],
      ready: { line: 'ready' },
    });
    return { server, ports: { [port]: number }, stop: () => server.stop() };
  },
});

export const bareTls = bareServer('bare-tls', 'node:tls, mutual handshake', 'tls');
export const bareHttps = bareServer('bare-https', 'node:https', 'https');
export const bareRhea = bareServer('bare-rhea', 'rhea as a server', 'amqp');

export const nginx: Contender = {
  name: 'nginx',
  describe: () => versioned('nginx', programVersion('nginx', ['-v'], /nginx\/([\d.]+)/u)),
  install: 'apt-get install nginx',
  start: async ({ server: { certificate, key }, root }) => {
    const port = await freePort();
    const folder = temporary();
    const configuration = join(folder, 'nginx.conf');
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${join(folder, name)};`);
    const verify = `ssl_client_certificate ${root}; ssl_verify_client on; ssl_verify_depth 3;`;
    const tls = `ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_session_cache off;`;
    writeFileSync(
      configuration,
      `daemon off; master_process off; worker_processes 1; pid ${join(folder, 'pid')}; error_log ${join(folder, 'log')};
events { worker_connections 4096; }
http { access_log off; ${paths.join(' ')} server { listen 127.0.0.1:${port} ssl backlog=1024; ${tls} ${verify} location / { return 200 "ok"; } } }\n`,
    );
    const server = await startServer({ command: 'nginx', args: ['-c', configuration, '-e', join(folder, 'log')], ready: { port } });
    return { server, ports: { https: port }, stop: () => stopAndRemove(server, folder) };
  },
};

export const mosquitto: Contender = {
  name: 'mosquitto',
  describe: () => versioned('mosquitto', programVersion('mosquitto', ['-h'], /version ([\d.]+)/u)),
  install: 'apt-get install mosquitto',
  start: async ({ server: { certificate, key }, root }) => {
    const port = await freePort();
    const folder = temporary();
    const configuration = join(folder, 'mosquitto.conf');
    writeFileSync(
      configuration,
      [
        `listener ${port} 127.0.0.1`,
        `cafile ${root}`,
        `certfile ${certificate}`,
        `keyfile ${key}`,
        'require_certificate true',
        'use_identity_as_username true',
        'tls_version tlsv1.3',
        'max_inflight_messages 1000',
        'max_queued_messages 10000',
        'log_type error',
        // Started by root it would become a user who may not read the certificates.
        `user ${userInfo().username}`,
        '',
      ].join('\n'),
    );
    const server = await startServer({ command: 'mosquitto', args: ['-c', configuration], ready: { port } });
    return { server, ports: { mqtt: port }, stop: () => stopAndRemove(server, folder) };
  },
};

export const aedes: Contender = {
  name: 'aedes',
  describe: () => {
    const manifest = checkout('bench/peers/node_modules/aedes/package.json');
    return existsSync(manifest) ? `aedes ${(JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version}` : undefined;
  },
  install: 'npm ci --ignore-scripts --prefix bench/peers',
  start: async ({ server: { certificate, key } }) => {
    const port = await freePort();
    const args = [checkout('bench/peers/aedes.cjs'), String(port), certificate, key];
    const server = await startServer({ command: process.execPath, args, ready: { line: 'ready' } });
    return { server, ports: { mqtt: port }, stop: () => server.stop() };
  },
};

/** What Muster is started with. `profile` is a folder for what its CPU did. */
export interface MusterOptions {
  readonly template: Template;
  readonly words?: readonly string[];
  readonly profile?: string;
}

export const musterOf = (name: string, options: MusterOptions): Contender => ({
  name,
  describe: () => `${name}, Node ${process.versions.node}`,
  install: 'npm run build',
  start: (material) => startMuster(material, options),
});

/** The service as a user starts it, with its default durability, over a copy of a folder. */
export async function startMuster(material: Material, { template, words = [], profile }: MusterOptions): Promise<Running> {
  const folder = temporary();
  copyOf(template, folder);
  const { server, endpoints } = await openService(folder, material, { words, ...(profile === undefined ? {} : { profile }) });
  const [dps] = endpoints.dps;
  const { https, mqtts, amqps } = endpoints.ports;
  if (dps === undefined || https === undefined || mqtts === undefined || amqps === undefined)
    throw new Error('Muster did not open every door.');
  return {
    server,
    ports: { https, mqtt: mqtts, amqp: amqps },
    muster: { idScope: dps.idScope, registryToken: template.registryToken, folder },
    stop: () => stopAndRemove(server, folder),
  };
}

/** `muster start` on free ports; resolves when it is ready. */
export async function openService(
  folder: string,
  { server: { certificate, key } }: Material,
  { words = [], profile }: { readonly words?: readonly string[]; readonly profile?: string } = {},
): Promise<{ readonly server: ServerProcess; readonly endpoints: Endpoints }> {
  const ports = ['--https-port', '0', '--mqtt-port', '0', '--amqp-port', '0', '--api-port', '0'];
  const names = ['--hub', `bench=${serverName}`, '--dps', `bench=${serverName}`];
  const tls = ['--server-certificate', certificate, '--server-key', key];
  const profiled = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const server = await startServer({
    command: process.execPath,
    args: [...profiled, program, 'start', '--data', folder, ...ports, ...names, ...tls, '--log-level', 'error', ...words],
    ready: { line: 'ready' },
    allCores: words.includes('--workers'),
  });
  return { server, endpoints: JSON.parse(readFileSync(join(folder, 'endpoints.json'), 'utf8')) as Endpoints };
}

const group = 'bench';

/** A folder with a group on the root and an individual enrollment. `fill` is to register the devices. */
export async function makeTemplate(
  material: Material,
  { folder, fill }: { readonly folder: string; readonly fill: (running: Running) => Promise<void> },
): Promise<void> {
  const { server, endpoints } = await openService(folder, material);
  const run = (...words: readonly string[]): string => runCli(folder, material.root, words);
  const create = ['--dps-name', 'bench', '--enrollment-id'];
  run('iot', 'dps', 'enrollment-group', 'create', ...create, group, '--certificate-path', material.root);
  run('iot', 'dps', 'enrollment', 'create', ...create, patterns.enrollment, '--attestation-type', 'symmetrickey');
  const token = ['iot', 'hub', 'generate-sas-token', '--hub-name', 'bench', '--duration', String(60 * 60 * 24 * 365)];
  const registryToken = run(...token, '--query', 'sas', '-o', 'tsv').trim();
  const [dps] = endpoints.dps;
  const { https } = endpoints.ports;
  if (dps === undefined || https === undefined) throw new Error('Muster did not open its door.');
  await fill({ server, ports: { https }, muster: { idScope: dps.idScope, registryToken, folder }, stop: () => server.stop() });
  await server.stop();
  writeFileSync(join(folder, tokenFile), registryToken, { mode: 0o600 });
}

/** Where a template keeps the token for its registry. */
export const tokenFile = 'bench-registry-token';

const versioned = (name: string, version: string | undefined): string | undefined =>
  version === undefined ? undefined : `${name} ${version}`;

export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'));
  mkdirSync(folder, { recursive: true });
  return folder;
}

export async function stopAndRemove(server: ServerProcess, folder: string): Promise<void> {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}
