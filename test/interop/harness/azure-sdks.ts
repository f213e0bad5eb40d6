import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Endpoints } from '../../../src/contracts/muster-endpoints.ts';

const clients = new URL('../clients/', import.meta.url);

/** What an SDK reported when it failed. */
export interface SdkError {
  readonly name: string;
  readonly message: string;
  readonly result?: { readonly status?: string; readonly registrationState?: { readonly status?: string; readonly assignedHub?: string } };
  readonly responseBody?: unknown;
  readonly statusCode?: number;
}

export class SdkFailure extends Error {
  readonly sdk: SdkError;
  constructor(operation: string, sdk: SdkError) {
    super(`${operation}: ${sdk.name}: ${sdk.message}`);
    this.sdk = sdk;
  }
}

/** A process with unmodified Azure SDKs that trusts the service's CA and nothing else beside the usual roots. */
export interface AzureSdks {
  run<T = unknown>(operation: string, input: object): Promise<T>;
  /** The error of an operation that must fail; throws when it succeeds. */
  failure(operation: string, input: object): Promise<SdkError>;
  close(): Promise<void>;
}

/** `clockOffsetSeconds`: how far the clock of these clients is ahead of (or behind) the service's. */
export async function startAzureSdks(endpoints: Endpoints, clockOffsetSeconds = 0): Promise<AzureSdks> {
  const { https, mqtts, amqps } = endpoints.ports;
  const child = fork(fileURLToPath(new URL('agent.cjs', clients)), [], {
    execArgv: [...preloaded('map-ports.cjs'), ...preloaded('shift-clock.cjs'), '--no-deprecation'],
    env: {
      ...process.env,
      NODE_EXTRA_CA_CERTS: endpoints.ca,
      NODE_TLS_REJECT_UNAUTHORIZED: '1',
      MUSTER_TEST_CLOCK_OFFSET_SECONDS: String(clockOffsetSeconds),
      MUSTER_TEST_PORTS: JSON.stringify({ 443: https, 8883: mqtts, 5671: amqps }),
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void; operation: string }>();
  let next = 0;
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the client process ended with ${code} before it was ready`)));
    child.on('message', (message: { ready?: boolean; id?: number; ok?: boolean; value?: unknown; error?: SdkError }) => {
      if (message.ready === true) return resolve();
      const call = waiting.get(message.id ?? -1);
      waiting.delete(message.id ?? -1);
      if (message.ok === true) call?.resolve(message.value);
      else call?.reject(new SdkFailure(call.operation, message.error!));
    });
  });
  child.on('exit', () => waiting.forEach((call) => call.reject(new Error(`the client process ended during ${call.operation}`))));
  const run = <T>(operation: string, input: object): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const id = next++;
      waiting.set(id, { resolve: resolve as (value: unknown) => void, reject, operation });
      child.send({ id, operation, input });
    });
  return {
    run,
    async failure(operation, input) {
      try {
        await run(operation, input);
      } catch (error) {
        if (error instanceof SdkFailure) return error.sdk;
        throw error;
      }
      throw new Error(`${operation} succeeded although it had to fail`);
    },
    close: () => ended(child),
  };
}

const preloaded = (file: string): readonly string[] => ['--require', fileURLToPath(new URL(file, clients))];

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
