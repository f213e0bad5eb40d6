import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { CliEnvironment } from '../../../src/cli/environment.ts';
import { runCli } from '../../../src/cli/run.ts';
import { instant } from '../../../src/kernel/clock.ts';
import { createRootCertificate, createServerCertificate } from '../../../src/pki/issue.ts';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line in this process, with nothing of this process's environment. */
export async function muster(argv: readonly string[], overrides: Partial<CliEnvironment> = {}): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const code = await runCli(argv, {
    env: {},
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    homeFolder: join(tmpdir(), 'nobody-lives-here'),
    startService: () => Promise.reject(new Error('not asked to start')),
    ...overrides,
  });
  return { code, stdout, stderr };
}

export interface RecordedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Answer = (request: RecordedRequest, response: ServerResponse) => void;

export interface Recorder {
  readonly port: number;
  readonly requests: RecordedRequest[];
  /** Replaces what is answered from now on. */
  answer: Answer;
  close(): Promise<void>;
}

export const json =
  (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body === undefined ? '' : JSON.stringify(body));
  };

/** A real server that keeps what it was asked. With `tls` it asks for a client certificate, as a service does. */
export async function openRecorder(tls?: { readonly cert: string; readonly key: string }): Promise<Recorder> {
  const recorder: { answer: Answer; requests: RecordedRequest[] } = { answer: json(200, {}), requests: [] };
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const recorded = { method, url, headers, body: Buffer.concat(chunks).toString('utf8') };
      recorder.requests.push(recorded);
      recorder.answer(recorded, response);
    });
  };
  const server: Server =
    tls === undefined ? createHttp(handle) : createHttps({ ...tls, requestCert: true, rejectUnauthorized: false }, handle);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return Object.assign(recorder, {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
}

const hour = 3_600_000;

/** A CA and a server certificate for the names that the tests use. */
export async function createServerIdentity(): Promise<{ readonly ca: string; readonly cert: string; readonly key: string }> {
  const now = Math.floor(Date.now() / 1000) * 1000;
  const basics = () => ({
    keyType: 'p256' as const,
    notBefore: instant(now - hour),
    notAfter: instant(now + hour),
    serialBytes: randomBytes(16),
  });
  const root = await createRootCertificate({ ...basics(), commonName: 'Test Root' });
  const names = ['localhost', 'hub-a.azure-devices.localhost', '127.0.0.1'];
  const server = await createServerCertificate({ ...basics(), names, issuer: root });
  return { ca: root.certificatePem, cert: server.chainPem, key: server.privateKeyPem };
}

/** The words of a request, a line each. */
export function linesOf(requests: readonly RecordedRequest[]): readonly string[] {
  return requests.map(({ method, url, body }) => `${method} ${url}${body === '' ? '' : ` ${body}`}`);
}

/** What a command that went well printed, read as JSON. */
export function valueOf({ code, stdout, stderr }: Outcome): unknown {
  if (code !== 0 || stderr !== '') throw new Error(`the command ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

export interface TestFolder {
  readonly path: string;
  write(name: string, text: string | Uint8Array): string;
  remove(): void;
}

export function createFolder(): TestFolder {
  const path = mkdtempSync(join(tmpdir(), 'muster-cli-'));
  return {
    path,
    write: (name, text) => {
      const file = join(path, name);
      writeFileSync(file, text);
      return file;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

export const testKey = Buffer.from('a policy key of a test').toString('base64');

/** Writes what a running service leaves in its data folder. */
export function writeEndpoints(
  folder: TestFolder,
  ca: string,
  ports: { readonly https: number; readonly api: number; readonly mqtts?: number; readonly amqps?: number },
): void {
  const caFile = folder.write('ca.pem', ca);
  const policy = (host: string, name: string): string => `HostName=${host};SharedAccessKeyName=${name};SharedAccessKey=${testKey}`;
  const endpoints = {
    dps: [
      {
        name: 'dps-local',
        idScope: '0ne00000001',
        globalEndpoint: 'localhost',
        serviceConnectionString: policy('localhost', 'provisioningserviceowner'),
      },
    ],
    hubs: [
      { name: 'hub-local', hostName: 'localhost', connectionString: policy('localhost', 'iothubowner') },
      {
        name: 'hub-a',
        hostName: 'hub-a.azure-devices.localhost',
        connectionString: policy('hub-a.azure-devices.localhost', 'iothubowner'),
      },
    ],
    api: { url: `http://localhost:${ports.api}` },
    ca: caFile,
    ports,
    pid: 1,
  };
  folder.write('endpoints.json', JSON.stringify(endpoints));
  folder.write('api-token', 'the-token-of-a-test\n');
}
