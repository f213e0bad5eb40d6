import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { type Config, loadConfig, type PartialConfig, quotasOf } from '../../../src/config/config.ts';
import { azureS1Quotas } from '../../../src/contracts/quotas.ts';

const folder = mkdtempSync(join(tmpdir(), 'muster-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function load(sources: { readonly yaml?: string; readonly environment?: Record<string, string>; readonly flags?: PartialConfig }): Config {
  const file = join(folder, 'muster.yaml');
  if (sources.yaml !== undefined) writeFileSync(file, sources.yaml);
  return loadConfig({
    environment: sources.environment ?? {},
    flags: { data: folder, ...sources.flags },
    ...(sources.yaml === undefined ? {} : { file }),
  });
}

test('nothing is limited, and devices wait two seconds, unless it is said otherwise', () => {
  expect(load({})).toMatchObject({ quotas: {}, pollAfterSeconds: 2, requireVerifiedCa: false });
  expect(load({ yaml: 'quotas: off' }).quotas).toEqual({});
});

test.each<[string, Parameters<typeof load>[0]]>([
  ['the file', { yaml: 'quotas: azure-s1\npollAfterSeconds: 1\nrequireVerifiedCa: true\n' }],
  ['the environment', { environment: { MUSTER_QUOTAS: 'azure-s1', MUSTER_POLL_AFTER_SECONDS: '1', MUSTER_REQUIRE_VERIFIED_CA: 'true' } }],
  ['flags', { flags: { quotas: quotasOf('azure-s1'), pollAfterSeconds: 1, requireVerifiedCa: true } }],
  [
    'flags before the environment before the file',
    {
      yaml: 'quotas: off\npollAfterSeconds: 9\nrequireVerifiedCa: true\n',
      environment: { MUSTER_QUOTAS: 'azure-s1', MUSTER_POLL_AFTER_SECONDS: '8' },
      flags: { pollAfterSeconds: 1 },
    },
  ],
])('from %s', (_name, sources) => {
  expect(load(sources)).toMatchObject({ quotas: azureS1Quotas, pollAfterSeconds: 1, requireVerifiedCa: true });
});

test('numbers of one’s own, in the file, the environment and flags', () => {
  const own = { registrationsPerMinute: 100, linkedHubs: 2 };
  expect(load({ yaml: 'quotas:\n  registrationsPerMinute: 100\n  linkedHubs: 2\n' }).quotas).toEqual(own);
  expect(load({ environment: { MUSTER_QUOTAS: '{"registrationsPerMinute":100,"linkedHubs":2}' } }).quotas).toEqual(own);
  expect(load({ flags: { quotas: quotasOf('{registrationsPerMinute: 100, linkedHubs: 2}') } }).quotas).toEqual(own);
});

test.each([
  ['an unknown name', { yaml: 'quotas: azure-s2' }, /quotas: use off, azure-s1, or numbers/u],
  ['an unknown number', { yaml: 'quotas: {registrationsPerHour: 1}' }, /quotas: Unrecognized key: "registrationsPerHour"/u],
  ['a number below 1', { environment: { MUSTER_QUOTAS: '{linkedHubs: 0}' } }, /quotas\.linkedHubs: Too small/u],
  ['what is no YAML', { environment: { MUSTER_QUOTAS: '{' } }, /quotas: use off, azure-s1, or numbers/u],
  ['no worker', { environment: { MUSTER_WORKERS: '0' } }, /workers: /u],
  ['no wait at all', { environment: { MUSTER_POLL_AFTER_SECONDS: '0' } }, /pollAfterSeconds: /u],
  ['a wait of which C# over MQTT would tire', { yaml: 'pollAfterSeconds: 31' }, /pollAfterSeconds: /u],
  ['neither true nor false', { environment: { MUSTER_REQUIRE_VERIFIED_CA: 'perhaps' } }, /requireVerifiedCa: /u],
])('refused/%s', (_name, sources, sentence) => expect(() => load(sources)).toThrow(sentence));
