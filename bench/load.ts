import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { type Material, serverName } from './material.ts';
import { renderScript, type Step } from './scripts.ts';
import { pinned, type ServerProcess } from './server-process.ts';

export interface Load {
  readonly protocol: 'http' | 'mqtt' | 'amqp' | 'byte';
  /** `connect`: an operation is a connection and its steps. `stream`: the last step, again and again. `hold`: none. */
  readonly mode: 'connect' | 'stream' | 'hold';
  /** `all`: one of each device. */
  readonly connections: number | 'all';
  /** Messages of a connection that are on their way at a time. */
  readonly window?: number;
  /** Without one, devices show no certificate. */
  readonly certificates: boolean;
  readonly steps: (deviceId: string) => readonly Step[];
}

export interface Measurement {
  readonly operations: number;
  readonly seconds: number;
  readonly serverCpuSeconds: number;
  readonly clientCpuSeconds: number;
  /** Of one operation, microseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Resident bytes of the server for each connection that was opened before the measurement. */
  readonly connectionBytes: number;
}

/** Compiled on the spot, so that no client in JavaScript is what is measured. Returns the path of the program. */
export function compileLoadClient(folder: string): string {
  const source = fileURLToPath(new URL('../../load/load.c', import.meta.url));
  const program = join(folder, 'load');
  execFileSync('cc', ['-O2', '-o', program, source, '-lssl', '-lcrypto'], { stdio: 'inherit' });
  return program;
}

interface LoadOptions {
  readonly program: string;
  readonly material: Material;
  readonly seconds: number;
  readonly warmup: number;
  /** For what the client reads. */
  readonly scratch: string;
}

export async function runLoad(
  { program, material, seconds, warmup, scratch }: LoadOptions,
  { server, port }: { readonly server: ServerProcess; readonly port: number },
  load: Load,
): Promise<Measurement> {
  const identities = writeIdentities(scratch, material, load);
  const options = {
    port,
    name: serverName,
    ca: material.root,
    identities,
    connections: load.connections === 'all' ? material.devices.length : load.connections,
    window: load.window ?? 1,
    warmup,
    seconds,
    protocol: load.protocol,
    mode: load.mode,
  };
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const [command, args] = pinned(1, program, words);
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const marks: Record<string, { readonly cpu: number; readonly memory: number }> = {};
  let result: Omit<Measurement, 'serverCpuSeconds' | 'connectionBytes'> | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{')) result = JSON.parse(line) as typeof result;
    else {
      marks[line] = { cpu: server.cpu(), memory: server.memory() };
      child.stdin.write('\n');
    }
  }
  const { open, begin, end } = marks;
  if (result === undefined || open === undefined || begin === undefined || end === undefined)
    throw new Error('The load client failed; it said why above.');
  return {
    ...result,
    serverCpuSeconds: (end.cpu - begin.cpu) / 1e9,
    connectionBytes: (begin.memory - open.memory) / options.connections,
  };
}

function writeIdentities(folder: string, { devices }: Material, { steps, certificates }: Load): string {
  const path = join(folder, 'identities');
  const lines = devices.map(({ id, certificate, key }) => {
    const script = join(folder, `${id}.script`);
    writeFileSync(script, renderScript(steps(id)));
    return certificates ? `${certificate} ${key} ${script}` : `- - ${script}`;
  });
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}
