import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { createFolder, muster, openRecorder, type Outcome, type Recorder, type TestFolder, writeEndpoints } from './harness.ts';

// What `deprovision` makes sure of before it asks for anything, because what it asks for is done at once.

let folder: TestFolder;
let api: Recorder;
let certificate: string;
let key: string;
let strangeKey: string;

beforeAll(async () => {
  folder = createFolder();
  api = await openRecorder();
  writeEndpoints(folder, 'no CA is needed without TLS', { https: 8444, api: api.port });
  [certificate, key] = await make('sensor-1');
  [, strangeKey] = await make('sensor-2');
});
beforeEach(() => {
  api.requests.length = 0;
});
afterAll(async () => {
  await api.close();
  folder.remove();
});

async function make(name: string): Promise<[certificate: string, key: string]> {
  const files = [join(folder.path, `${name}.cert.pem`), join(folder.path, `${name}.key.pem`)] as const;
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', '-subj', `/CN=${name}`, '-days', '1', ...curve, '-out', files[0], '-keyout', files[1]], {
    stdio: 'ignore',
  });
  return [...files];
}

const deprovision = (...argv: string[]): Promise<Outcome> => muster(['deprovision', ...argv, '--reason', 'lost', '--data', folder.path]);

describe('the key for the doors is looked at first', () => {
  test.each([
    ['an id in place of the certificate', 2, 'name the device by the file of it', () => ['sensor-1', '--key', key]],
    ['another key', 1, 'does not belong to the certificate', () => ['--certificate', certificate, '--key', strangeKey]],
    ['no key', 1, 'holds no private key', () => ['--certificate', certificate, '--key', certificate]],
    ['no file', 1, 'does not exist', () => ['--certificate', certificate, '--key', join(folder.path, 'nowhere.pem')]],
    ['many devices', 2, 'name the device by the file of it', () => ['--group', 'plant', '--key', key]],
  ] as const)('refused/%s, and nothing is asked for', async (_name, code, words, argv) => {
    expect(await deprovision(...argv())).toMatchObject({ code, stderr: expect.stringContaining(words) });
    expect(api.requests).toEqual([]);
  });
});

test.each([
  ['a path of no file', './sensor-9.cert.pem', 1, 'does not exist'],
  ['an id that only looks like one', 'sensor-9.pem', 0, ''],
])('%s', async (_name, device, code, words) => {
  api.answer = (_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  const outcome = await deprovision(device, '-o', 'none');
  expect(outcome).toMatchObject({ code, stderr: expect.stringContaining(words) });
  expect(api.requests).toHaveLength(code === 0 ? 1 : 0);
});

test('refused/what is unknown among many: it would be passed over without a word', async () => {
  const outcome = await deprovision('--group', 'plant', '--even-if-unknown');
  expect(outcome).toMatchObject({ code: 2, stderr: expect.stringContaining('is about one device') });
  expect(api.requests).toEqual([]);
});

describe('a private key stays at home', () => {
  test('refused/the key in place of the certificate', async () => {
    expect(await deprovision('--certificate', key)).toMatchObject({ code: 1 });
    expect(await deprovision(key)).toMatchObject({ code: 1 });
    expect(api.requests).toEqual([]);
  });

  test('ok/a file with both: the certificate alone is sent', async () => {
    const both = folder.write('both.pem', readFileSync(key, 'utf8') + readFileSync(certificate, 'utf8'));
    await deprovision(both);
    await deprovision('--certificate', both);
    expect(api.requests.map(({ url }) => url)).toEqual(Array(2).fill(expect.stringContaining('/deprovision')));
    for (const { body } of api.requests) {
      expect(body).toContain('BEGIN CERTIFICATE');
      expect(body).not.toContain('PRIVATE KEY');
    }
  });
});
