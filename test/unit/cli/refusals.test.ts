import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { createFolder, json, muster, openRecorder, type Recorder, type TestFolder, writeEndpoints } from './harness.ts';

let folder: TestFolder;
let api: Recorder;
beforeAll(async () => {
  folder = createFolder();
  api = await openRecorder();
  writeEndpoints(folder, 'no CA is needed without TLS', { https: 8444, api: api.port });
});
beforeEach(() => {
  api.requests.length = 0;
});
afterAll(async () => {
  await api.close();
  folder.remove();
});

const refusal = (sequence: number) => ({
  sequence,
  at: '2026-06-15T12:00:00.000Z',
  side: 'provisioning',
  place: 'dps-local',
  deviceId: `sensor-${sequence}`,
  transport: 'mqtt',
  address: '192.0.2.7',
  trackingId: `tracking-${sequence}`,
  error: 'DpsUnauthorized',
  reason: 'no-entry',
  sentence: 'No enrollment matches.',
});
const eventOf = (sequence: number): string => `id: ${sequence}\ndata: ${JSON.stringify(refusal(sequence))}\n\n`;

/** Answers each request with the next of these bodies, and ends the stream. */
function answerStreams(...bodies: readonly string[]): void {
  const left = [...bodies];
  api.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(left.shift() ?? '');
  };
}

test('a stream that breaks is taken up behind the last refusal that came', async () => {
  const behind = 'event: fell-behind\nid: 20000\ndata: {"from":3,"to":20000}\n\n';
  answerStreams(`: open\n\n${eventOf(1)}${eventOf(2)}`, `: open\n\n: still here\n\n${eventOf(3)}`, `: open\n\n${behind}`);
  const { code, stdout, stderr } = await muster(['refusals', 'sensor', '--follow', '--transport', 'mqtt', '--data', folder.path]);
  expect(code).toBe(1);
  expect(stdout).toContain(
    '2026-06-15 12:00:00 ✗ sensor-1 at provisioning dps-local, mqtt from 192.0.2.7\n    No enrollment matches. DpsUnauthorized, tracking-1\n',
  );
  expect(stdout.split('✗')).toHaveLength(4);
  expect(stderr).toContain('taken up again');
  expect(stderr).toContain('refusals 4 to 20000 were left out');
  expect(api.requests.map(({ url }) => url)).toEqual([
    '/api/v1/refusals/stream?device=sensor&transport=mqtt',
    '/api/v1/refusals/stream?device=sensor&transport=mqtt&after=2',
    '/api/v1/refusals/stream?device=sensor&transport=mqtt&after=3',
  ]);
});

test('for a program it is a line of JSON each', async () => {
  const behind = 'event: fell-behind\ndata: {"from":8,"to":9}\n\n';
  answerStreams(`${eventOf(8)}${behind}`);
  const { stdout } = await muster(['refusals', '--follow', '--after', '7', '-o', 'json', '--only-show-errors', '--data', folder.path]);
  expect(stdout).toBe(`${JSON.stringify(refusal(8))}\n`);
  expect(api.requests[0]?.url).toBe('/api/v1/refusals/stream?after=7');
});

test('a request that is refused is not repeated', async () => {
  api.answer = json(403, { error: { code: 'Forbidden', message: 'This needs the role reader.', trackingId: 't' } });
  expect(await muster(['refusals', '--follow', '--data', folder.path])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('needs the role reader'),
  });
  expect(api.requests).toHaveLength(1);
});

test('the list is read page by page', async () => {
  api.answer = (request, response) => {
    const isFirst = !request.url.includes('after');
    const body = isFirst ? { items: [refusal(2)], next: '2' } : { items: [refusal(1)] };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const { stdout } = await muster(['refusals', '--data', folder.path, '--query', '[].sequence', '-o', 'tsv']);
  expect(stdout).toBe('2\n1\n');
});
