// What `npm ci` ends with: the SQLite driver that fits this Node, and the build. The driver's own install script is not
// allowed to run (package.json), because it cannot be told where Node's headers are: without a network it would end the
// installation on machines that have all it needs.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withOwnHeaders } from './node-headers.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
if (!driverLoads()) run(['run', '--silent', 'install'], join(root, 'node_modules', 'better-sqlite3'));
run(['run', '--silent', 'build'], root);

/** In a process of its own: a driver built for another Node may end the one that loads it. */
function driverLoads() {
  const driver = createRequire(import.meta.url).resolve('better-sqlite3');
  try {
    execFileSync(process.execPath, ['-e', `new (require(${JSON.stringify(driver)}))(':memory:').close()`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function run(args, cwd) {
  try {
    execFileSync('npm', args, { cwd, env: withOwnHeaders(process.env), stdio: 'inherit', shell: process.platform === 'win32' });
  } catch (error) {
    console.error(`"npm ${args.join(' ')}" failed in ${cwd}; its output above says why. Compiling needs g++, make and python3.`);
    process.exit(error.status ?? 1);
  }
}
