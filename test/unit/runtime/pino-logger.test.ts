import { expect, test } from 'vitest';

import { createPinoLogger } from '../../../src/runtime/pino-logger.ts';

/** What really comes out, line by line. */
function recorded(level: 'debug' | 'info' | 'silent' = 'debug') {
  const lines: string[] = [];
  const log = createPinoLogger({ level, destination: { write: (line) => void lines.push(line) } });
  return { lines, log };
}

const key = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ=';
const pem = `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----`;

test('one JSON object a line, with level, time and event', () => {
  const { lines, log } = recorded();
  log.child({ door: 'mqtt' }).info('registration', { verdict: 'admit' });
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level: 'info',
    time: expect.any(String) as string,
    event: 'registration',
    door: 'mqtt',
    verdict: 'admit',
  });
});

test.each<[string, Readonly<Record<string, unknown>>]>([
  ['a named key', { primaryKey: key }],
  ['a key two levels down', { policy: { secondaryKey: key } }],
  ['a key three levels down', { device: { authentication: { primaryKey: key } } }],
  ['a password', { credentials: { password: key } }],
  ['a token in a text', { detail: `SharedAccessSignature sr=h&sig=${encodeURIComponent(key)}&se=1&skn=p` }],
  ['a connection string in a text', { detail: `HostName=h;SharedAccessKeyName=p;SharedAccessKey=${key}` }],
  ['a private key in a text', { detail: `cannot read ${pem}` }],
  ['a private key in the message of an error', { error: new Error(`cannot read ${pem}`) }],
  ['a token in a text further down', { peer: { asked: `GET /?sig=${encodeURIComponent(key)}&x=1` } }],
  ['a token in the cause of an error', { error: new Error('no', { cause: new Error(`sig=${key}`) }) }],
  ['a token in a list', { tried: [`sig=${key}`] }],
])('%s does not reach the log', (_, fields) => {
  const { lines, log } = recorded();
  log.child(fields).error('event', fields);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('event');
  for (const secret of [key, encodeURIComponent(key)]) expect(lines[0]).not.toContain(secret);
});

test('levels below the one chosen are silent', () => {
  const { lines, log } = recorded('info');
  log.debug('nothing');
  expect(lines).toEqual([]);
  const silent = recorded('silent');
  silent.log.error('nothing');
  expect(silent.lines).toEqual([]);
});

test('an error tells its code, its cause and the errors it gathers', () => {
  const { lines, log } = recorded();
  const cause = Object.assign(new Error('disk is full'), { code: 'SQLITE_FULL' });
  log.error('store.commit-failed', { error: new AggregateError([cause], 'two failed', { cause }), body: Buffer.from('x') });
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    error: {
      name: 'AggregateError',
      message: 'two failed',
      cause: { message: 'disk is full', code: 'SQLITE_FULL' },
      errors: [{ code: 'SQLITE_FULL', stack: expect.stringContaining('pino-logger.test') as string }],
    },
    body: '1 bytes',
  });
});

test('what refers to itself does not hang or throw', () => {
  const { lines, log } = recorded();
  const circle: Record<string, unknown> = { size: 1n };
  circle['self'] = circle;
  log.info('event', { circle });
  expect(lines).toHaveLength(1);
});
