import { join, resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

import type { StartOptions } from '../../../src/cli/start-options.ts';
import { muster } from './harness.ts';

async function startWith(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<StartOptions> {
  let seen: StartOptions | undefined;
  const outcome = await muster(['start', ...argv], {
    env,
    homeFolder: '/home/somebody',
    startService: async (options) => {
      seen = options;
      return 0;
    },
  });
  expect(outcome).toEqual({ code: 0, stdout: '', stderr: '' });
  return seen ?? expect.fail('the service was not started');
}

describe('start', () => {
  test.each<[string[], Partial<StartOptions>]>([
    [[], { ports: {} }],
    [
      ['--https-port', '0', '--mqtt-port', 'off', '--amqp-port', '15671', '--api-port', '65535'],
      { ports: { https: 0, mqtts: 'off', amqps: 15_671, api: 65_535 } },
    ],
    [['--hub', 'hub-a', '--hub', 'hub-b=b.example'], { hubs: [{ name: 'hub-a' }, { name: 'hub-b', hostName: 'b.example' }] }],
    [['--dps', 'dps-x=localhost'], { dps: [{ name: 'dps-x', hostName: 'localhost' }] }],
    [['--bind', '127.0.0.1', '::1'], { bind: ['127.0.0.1', '::1'] }],
    [['--skip-busy-ports'], { skipBusyPorts: true }],
    [
      ['--server-certificate', 'c.pem', '--server-key', 'k.pem'],
      { serverCertificate: { certificateFile: resolve('c.pem'), keyFile: resolve('k.pem') } },
    ],
    [['--quotas', 'azure-s1', '--poll-after-seconds', '1'], { quotas: 'azure-s1', pollAfterSeconds: 1 }],
    [['--require-verified-ca'], { requireVerifiedCa: true }],
    [['--config', 'm.yaml', '--log-level', 'DEBUG'], { configFile: resolve('m.yaml'), logLevel: 'debug' }],
  ])('%j', async (argv, options) => {
    expect(await startWith(argv)).toEqual({ dataFolder: join('/home/somebody', '.muster'), ports: {}, ...options });
  });

  test.each<[string, string[], Record<string, string>, string]>([
    ['the option', ['--data', '/a'], { MUSTER_DATA: '/b' }, '/a'],
    ['the environment', [], { MUSTER_DATA: '/b' }, '/b'],
    ['the home folder', [], { MUSTER_DATA: '' }, '/home/somebody/.muster'],
  ])('data folder: %s', async (_name, argv, env, path) => expect((await startWith(argv, env)).dataFolder).toBe(path));

  test.each<[string[], string]>([
    [['--hub', 'a=b=c'], "argument --hub: 'a=b=c' is not of the form NAME or NAME=HOSTNAME."],
    [['--server-key', 'k.pem'], '--server-certificate and --server-key go together. Provide both.'],
  ])('refuses %j', async (argv, sentence) => {
    expect(await muster(['start', ...argv])).toEqual({ code: 2, stdout: '', stderr: `ERROR: ${sentence}\n` });
  });

  test('the exit code of the service is that of the command', async () => {
    expect((await muster(['start'], { startService: () => Promise.resolve(7) })).code).toBe(7);
  });

  test('the tour is run where there is one', async () => {
    expect((await muster(['tour'], { runTour: () => Promise.resolve(0) })).code).toBe(0);
    expect(await muster(['tour'])).toMatchObject({ code: 1, stderr: 'ERROR: This build of muster has no tour.\n' });
  });

  test('a bug is reported as one, with its stack when asked to', async () => {
    const startService = () => Promise.reject(new TypeError('x is not y'));
    const quiet = await muster(['start'], { startService });
    const loud = await muster(['start', '--debug'], { startService });
    expect(quiet).toEqual({
      code: 1,
      stdout: '',
      stderr: 'ERROR: muster failed unexpectedly: x is not y. Run it again with --debug and report what it shows.\n',
    });
    expect(loud.stderr).toContain('TypeError: x is not y\n    at ');
  });
});
