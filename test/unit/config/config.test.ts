import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { type Config, loadConfig, type PartialConfig } from '../../../src/config/config.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-config-'));
  file = join(folder, 'muster.yaml');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const load = (text: string, flags: PartialConfig = {}, environment: Readonly<Record<string, string>> = {}): Config => {
  writeFileSync(file, text);
  return loadConfig({ file, environment, flags });
};

test('flags come before the environment, that before the file, that before the defaults', () => {
  const text = 'data: /a\nports: { https: 1, mqtt: 1, amqp: 1 }';
  const config = load(text, { ports: { https: 3 } }, { MUSTER_DATA: '/b', MUSTER_HTTPS_PORT: '2', MUSTER_MQTT_PORT: '2' });
  expect(config).toMatchObject({ data: '/b', ports: { https: 3, mqtt: 2, amqp: 1, api: 8443 } });
});

test.each<[string, string, RegExp]>([
  ['a key that there is not', 'data: /a\nprots: {}', /Unrecognized key: "prots"/u],
  ['text that is no YAML', 'data: [', /is not valid YAML: Flow sequence .* at line 1, column 8:?$/u],
  ['a list', '- data', /must hold keys and values/u],
  ['half a certificate', 'data: /a\nserverKey: k.pem', /serverCertificate and serverKey belong together/u],
])('%s is said in one line', (_name, text, words) => {
  expect(() => load(text)).toThrow(words);
  expect(() => load(text)).toThrow(/^[^\n]+$/u);
});

test('the event webhook has its address from the environment and the rest from the file, and is absent without either', () => {
  expect(load('data: /a').eventWebhook).toBeUndefined();
  const text = 'data: /a\neventWebhook: { url: "https://a.example/x", timeoutSeconds: 3, secretFile: /s }';
  const environment = { MUSTER_EVENT_WEBHOOK_URL: 'http://127.0.0.1:9/x' };
  expect(load(text, {}, environment).eventWebhook).toEqual({ url: 'http://127.0.0.1:9/x', timeoutSeconds: 3, secretFile: '/s' });
  expect(load('data: /a', {}, environment).eventWebhook).toEqual({ url: 'http://127.0.0.1:9/x', timeoutSeconds: 10 });
});

test.each([
  ['no address', '{}', {}],
  ['another protocol', '{ url: "ftp://a.example/" }', {}],
  ['a secret in line', '{ url: "https://a.example/", secret: abc }', {}],
  ['a secret without an address', undefined, { MUSTER_EVENT_WEBHOOK_SECRET_FILE: '/s' }],
])('an event webhook with %s is refused', (_name, webhook, environment) => {
  const text = webhook === undefined ? 'data: /a' : `data: /a\neventWebhook: ${webhook}`;
  expect(() => load(text, {}, environment)).toThrow(/eventWebhook/u);
});
