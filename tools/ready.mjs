// Makes a fresh checkout ready to run: installs what the lock files name and builds, each only when it is out of date.
// `--tests` also installs the genuine clients that only the interop suite uses.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Muster needs Node 20.19 or later; this is ${process.versions.node}. Install a newer Node and run the command again.`);
  process.exit(1);
}

install(root);
if (process.argv.includes('--tests')) install(join(root, 'test', 'interop', 'clients'));
run('npm', ['run', '--silent', 'build'], root);

function install(folder) {
  const lock = join(folder, 'package-lock.json');
  const stamp = join(folder, 'node_modules', '.muster-installed');
  const wanted = createHash('sha256').update(readFileSync(lock)).update(process.version).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  run('npm', ['ci', '--no-audit', '--no-fund'], folder);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
}

// The SQLite driver is compiled where no prebuilt one can be fetched. The compiler then wants Node's headers: most
// installations have them beside Node, and need not fetch those, either.
function withOwnHeaders(env) {
  const prefix = join(dirname(process.execPath), '..');
  const header = join(prefix, 'include', 'node', 'node_version.h');
  if (env.npm_config_nodedir !== undefined || !existsSync(header)) return env;
  const text = readFileSync(header, 'utf8');
  const version = ['MAJOR', 'MINOR', 'PATCH'].map((part) => new RegExp(`#define NODE_${part}_VERSION (\\d+)`, 'u').exec(text)?.[1]);
  return version.join('.') === process.versions.node ? { ...env, npm_config_nodedir: prefix } : env;
}

function run(command, args, cwd) {
  try {
    const env = withOwnHeaders(process.env);
    execFileSync(command, args, { cwd, env, stdio: 'inherit', shell: process.platform === 'win32' });
  } catch (error) {
    console.error(`"${command} ${args.join(' ')}" failed in ${cwd}; its output above says why.`);
    process.exit(error.status ?? 1);
  }
}
