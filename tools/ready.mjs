// Makes a fresh checkout ready to run: installs what the lock files name and builds, each only when it is out of date.
// `--tests` also installs the genuine clients that only the interop suite uses, `--bench` the servers that the benchmark compares
// with, and builds it.
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
// None of the genuine clients needs what its dependencies would compile: that is for TPMs under Windows.
if (process.argv.includes('--tests')) install(join(root, 'test', 'interop', 'clients'), '--ignore-scripts');
if (process.argv.includes('--bench')) install(join(root, 'bench', 'peers'), '--ignore-scripts');
run('npm', ['run', '--silent', 'build'], root);
if (process.argv.includes('--bench')) run('npx', ['tsc', '-p', 'bench/tsconfig.json'], root);

function install(folder, ...flags) {
  const lock = join(folder, 'package-lock.json');
  const stamp = join(folder, 'node_modules', '.muster-installed');
  const wanted = createHash('sha256').update(readFileSync(lock)).update(process.version).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  run('npm', ['ci', '--no-audit', '--no-fund', ...flags], folder);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
}

function run(command, args, cwd) {
  try {
    execFileSync(command, args, { cwd, stdio: 'inherit', shell: process.platform === 'win32' });
  } catch (error) {
    console.error(`"${command} ${args.join(' ')}" failed in ${cwd}; its output above says why.`);
    process.exit(error.status ?? 1);
  }
}
