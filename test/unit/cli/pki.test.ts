import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { instant } from '../../../src/kernel/clock.ts';
import { verifyProofOfPossession } from '../../../src/pki/proof-of-possession.ts';
import { parseCertificateUpload } from '../../../src/pki/upload.ts';
import { verifyPath } from '../../../src/pki/verify-path.ts';
import { createFolder, muster, type Outcome, type TestFolder } from './harness.ts';

let folder: TestFolder;
beforeEach(() => (folder = createFolder()));
afterEach(() => folder.remove());

const file = (name: string): string => join(folder.path, name);
const chain = (name: string) => parseCertificateUpload(readFileSync(file(name), 'utf8'));
const pki = (...argv: string[]): Promise<Outcome> => muster(['pki', ...argv, '--out', folder.path]);
const below = (name: string): string[] => ['--issuer', file(`${name}.cert.pem`), '--issuer-key', file(`${name}.key.pem`)];

describe('pki', () => {
  test('a whole hierarchy validates, and the proof of possession holds', async () => {
    expect((await pki('root', '--name', 'root', '--common-name', 'Plant Root')).code).toBe(0);
    expect((await pki('intermediate', '--name', 'int', ...below('root'), '--path-length', '0')).code).toBe(0);
    expect((await pki('device', '--name', 'sensor-thl-002', ...below('int'), '--key-type', 'rsa2048')).code).toBe(0);
    expect((await pki('verification', '--code', 'C0DE', ...below('root'))).code).toBe(0);
    const [root] = chain('root.cert.pem');
    const [leaf, intermediate, ...rest] = chain('sensor-thl-002.chain.pem');
    const [proof] = chain('verification.cert.pem');
    if (root === undefined || leaf === undefined || intermediate === undefined || proof === undefined)
      expect.fail('a certificate is missing');
    const at = instant(Date.now());
    expect(root.commonName).toBe('Plant Root');
    expect(leaf.commonName).toBe('sensor-thl-002');
    expect(rest).toEqual([]);
    expect(verifyPath(leaf, { intermediates: [intermediate], anchors: [root], at }).ok).toBe(true);
    expect(verifyProofOfPossession({ ca: root, proof, verificationCode: 'C0DE', at })).toEqual({ ok: true });
  });

  test('prints the paths; the key is for the owner alone', async () => {
    const outcome = await pki('device', '--name', 'd');
    expect(JSON.parse(outcome.stdout)).toEqual({ certificate: file('d.cert.pem'), key: file('d.key.pem'), chain: file('d.chain.pem') });
    expect(statSync(file('d.key.pem')).mode & 0o777).toBe(0o600);
    expect(outcome.stdout + outcome.stderr).not.toContain('PRIVATE KEY');
  });

  test('overwrites only when forced, and then keeps the key to the owner', async () => {
    await pki('root');
    const before = readFileSync(file('root.key.pem'), 'utf8');
    const refused = await pki('root');
    expect(refused).toEqual({
      code: 1,
      stdout: '',
      stderr: `ERROR: ${file('root.cert.pem')} exists already. Choose another --name or --out, or overwrite it with --force.\n`,
    });
    expect(readFileSync(file('root.key.pem'), 'utf8')).toBe(before);
    const { chmodSync } = await import('node:fs');
    chmodSync(file('root.key.pem'), 0o644);
    expect((await pki('root', '--force')).code).toBe(0);
    expect(readFileSync(file('root.key.pem'), 'utf8')).not.toBe(before);
    expect(statSync(file('root.key.pem')).mode & 0o777).toBe(0o600);
  });

  test('--days counts from now', async () => {
    await pki('root', '--days', '2');
    const [root] = chain('root.cert.pem');
    const daysLeft = ((root?.notAfter ?? 0) - Date.now()) / 86_400_000;
    expect(daysLeft).toBeGreaterThan(1.9);
    expect(daysLeft).toBeLessThanOrEqual(2);
  });

  test.each<[string, string[], number, string]>([
    ['a name that is a path', ['device', '--name', '../x'], 2, "argument --name: '../x' cannot be used as a file name."],
    ['no name', ['device'], 2, 'the following arguments are required: --name.'],
    ['half an issuer', ['device', '--name', 'd', '--issuer', 'x.pem'], 2, 'the following arguments are required: --issuer, --issuer-key.'],
    [
      'an issuer that is not there',
      ['intermediate', '--issuer', '/n.pem', '--issuer-key', '/k.pem'],
      1,
      'The issuer file /n.pem does not exist. Check the path.',
    ],
    ['no days', ['root', '--days', '0'], 2, 'argument --days: must be between 1 and 36500.'],
  ])('refuses %s', async (_name, argv, code, sentence) => {
    expect(await pki(...argv)).toEqual({ code, stdout: '', stderr: `ERROR: ${sentence}\n` });
  });

  test('an issuer that is no CA or no certificate is named', async () => {
    await pki('device', '--name', 'leaf');
    expect(await pki('device', '--name', 'd', ...below('leaf'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is not a CA') as string,
    });
    folder.write('leaf.cert.pem', 'nothing');
    expect(await pki('device', '--name', 'd', ...below('leaf'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('The issuer cannot be read.') as string,
    });
  });
});
