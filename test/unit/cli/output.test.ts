import { describe, expect, test } from 'vitest';

import { CliFailure } from '../../../src/cli/exit-code.ts';
import { applyQuery, checkQuery } from '../../../src/cli/output/query.ts';
import { type OutputFormat, renderResult } from '../../../src/cli/output/render.ts';
import type { Json } from '../../../src/kernel/json.ts';

const devices: Json = [
  { status: 'enabled', deviceId: 'sensor-thl-001', etag: 'e1', twin: { a: 1 }, hubs: ['x', 'y'], edge: false, reason: null },
  { status: 'disabled', deviceId: 'sensor-thl-002', etag: 'e2', twin: {}, hubs: [], edge: true, reason: 'lost' },
];
const show = (value: Json | undefined, format: OutputFormat, queried = false): string =>
  renderResult(value, { format, queried, colours: false });

const golden: readonly (readonly [OutputFormat, Json, string])[] = [
  [
    'json',
    { b: [1, { d: 'ü', c: null }], a: true },
    '{\n  "a": true,\n  "b": [\n    1,\n    {\n      "c": null,\n      "d": "ü"\n    }\n  ]\n}\n',
  ],
  ['json', [], '[]\n'],
  ['jsonc', { a: 1 }, '{\n  "a": 1\n}\n'],
  [
    'table',
    devices,
    'DeviceId        Edge   Status    Reason\n--------------  -----  --------  ------\nsensor-thl-001  False  enabled\nsensor-thl-002  True   disabled  lost\n',
  ],
  [
    'table',
    [
      { id: '/subscriptions/0/hubs/a', name: 'a' },
      { id: 'block-1', name: 'b' },
    ],
    'Name  Id\n----  -------\na\nb     block-1\n',
  ],
  ['table', 'alone', 'Result\n------\nalone\n'],
  [
    'table',
    [
      ['a', 1],
      ['b', 2],
    ],
    'Column1  Column2\n-------  -------\na        1\nb        2\n',
  ],
  ['table', [], ''],
  ['tsv', devices, 'sensor-thl-001\tFalse\te1\t2\tNone\tenabled\t\nsensor-thl-002\tTrue\te2\t0\tlost\tdisabled\t\n'],
  ['tsv', 'alone', 'alone\n'],
  ['tsv', true, 'true\n'],
  ['tsv', ['a', 'b'], 'a\nb\n'],
  ['yaml', { b: ['x', { c: null }], a: 'yes: no' }, 'a: "yes: no"\nb:\n- x\n- c: null\n'],
  ['none', devices, ''],
];

describe('golden', () => {
  test.each(golden)('%s of %j', (format, value, text) => expect(show(value, format)).toBe(text));

  test('nothing prints nothing in any format', () => {
    for (const format of ['json', 'table', 'tsv', 'yaml'] as const) expect(show(undefined, format) + show(null, format)).toBe('');
  });

  test('a query chooses the columns and their order, etag included', () => {
    const queried = applyQuery(devices, '[].{status:status, etag:etag}');
    expect(show(queried, 'table', true)).toBe('Status    Etag\n--------  ----\nenabled   e1\ndisabled  e2\n');
    expect(show(queried, 'tsv', true)).toBe('enabled\te1\ndisabled\te2\n');
  });

  test('colours change nothing but the colours', () => {
    const coloured = renderResult({ a: ['x', 1, null] }, { format: 'jsonc', queried: false, colours: true });
    expect(coloured).not.toBe(show({ a: ['x', 1, null] }, 'json'));
    // oxlint-disable-next-line no-control-regex
    expect(coloured.replaceAll(/\u001B\[\d+m/gu, '')).toBe(show({ a: ['x', 1, null] }, 'json'));
  });
});

describe('--query', () => {
  test.each<[string, Json]>([
    ['[].deviceId', ['sensor-thl-001', 'sensor-thl-002']],
    ["[?status=='disabled'].deviceId | [0]", 'sensor-thl-002'],
    ['length(@)', 2],
    ['[0].nothing', null],
  ])('%s', (expression, value) => expect(applyQuery(devices, expression)).toEqual(value));

  test('what is not JMESPath is bad usage', () => {
    expect(() => checkQuery('[?')).toThrow(CliFailure);
    expect(() => checkQuery('[?')).toThrow(/^argument --query: '\[\?' is not a JMESPath expression/u);
  });

  test('what cannot be applied is a failure', () => {
    expect(() => applyQuery(devices, 'keys(@)')).toThrow(/cannot be applied to this result/u);
  });
});
