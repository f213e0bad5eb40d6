import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { promises } from '../../src/cli/tour/ledger.ts';

// The built tour as a person runs it: what it claims, how it looks in a log file, and what it leaves behind.

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const columns = 80;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tour-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Tour {
  readonly child: ChildProcess;
  readonly text: () => string;
  readonly exitCode: Promise<number | null>;
  /** Resolves with the first match in what the tour has printed so far. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
}

function startTour(): Tour {
  const { FORCE_COLOR: _forced, NO_COLOR: _unwanted, ...env } = process.env;
  const child = spawn(process.execPath, [main, 'tour'], { env: { ...env, TMPDIR: folder }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const seen = new Set<() => void>();
  const hear = (chunk: string): void => {
    text += chunk;
    for (const look of seen) look();
  };
  child.stdout.setEncoding('utf8').on('data', hear);
  child.stderr.setEncoding('utf8').on('data', hear);
  const exitCode = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    text: () => text,
    exitCode,
    printed: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = pattern.exec(text);
          if (match !== null) resolve(match);
        };
        seen.add(look);
        look();
        void exitCode.then(() => reject(new Error(`the tour ended without ${String(pattern)}:\n${text}`)));
      }),
  };
}

/** What is left of a process that the tour named. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const servicePid = (text: string): number => Number(/^ +ready .*process (\d+)$/mu.exec(text)?.[1]);

test('every promise is shown to hold, in a form that fits a log file', async () => {
  const tour = startTour();
  expect(await tour.exitCode, tour.text()).toBe(0);

  const lines = tour.text().split('\n');
  const table = lines.slice(lines.indexOf(' What held'));
  expect(table.filter((line) => line.startsWith(' ✓'))).toHaveLength(Object.keys(promises).length);
  expect(tour.text()).not.toContain('✗');
  expect(tour.text()).not.toContain('not shown');

  expect(lines.filter((line) => line.length > columns)).toEqual([]);
  // No colours, no cursor movements, no carriage returns: a pipe is not a terminal.
  expect(tour.text()).not.toMatch(/[^\n\P{Cc}]/u);

  // The exercise's own commands, word for word but for line breaks.
  const typed = tour.text().replaceAll(/ \\\n +/gu, ' ');
  expect(typed).toContain(
    '$ muster iot dps enrollment create --dps-name dps-local --enrollment-id disallow-002 --attestation-type x509 --certificate-path pki/sensor-thl-002.cert.pem --provisioning-status disabled\n',
  );
  expect(typed).toMatch(/\$ muster iot hub device-identity delete --hub-name hub-[ab] --device-id sensor-thl-002\n/u);

  expect(readdirSync(folder)).toEqual([]);
  expect(isAlive(servicePid(tour.text()))).toBe(false);
});

test('interrupted in the middle, it says so, claims nothing that it did not show, and leaves nothing behind', async () => {
  const tour = startTour();
  await tour.printed(/\$ muster iot dps enrollment-group create/u);
  expect(isAlive(servicePid(tour.text()))).toBe(true);
  tour.child.kill('SIGINT');
  expect(await tour.exitCode).toBe(1);

  expect(tour.text()).toContain('It was interrupted.');
  expect(tour.text()).toMatch(/✗ Deleting its identity drops its +not shown/u);
  expect(readdirSync(folder)).toEqual([]);
  expect(isAlive(servicePid(tour.text()))).toBe(false);
});
