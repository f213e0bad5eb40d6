import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The environment for a command that compiles native code. The compiler wants Node's headers: most installations have them
 * beside Node, and then they need not be fetched.
 */
export function withOwnHeaders(env) {
  const prefix = join(dirname(process.execPath), '..');
  const header = join(prefix, 'include', 'node', 'node_version.h');
  if (env.npm_config_nodedir !== undefined || !existsSync(header)) return env;
  const text = readFileSync(header, 'utf8');
  const version = ['MAJOR', 'MINOR', 'PATCH'].map((part) => new RegExp(`#define NODE_${part}_VERSION (\\d+)`, 'u').exec(text)?.[1]);
  return version.join('.') === process.versions.node ? { ...env, npm_config_nodedir: prefix } : env;
}
