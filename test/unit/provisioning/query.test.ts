import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../../src/kernel/json.ts';
import type { Page } from '../../../src/kernel/page.ts';
import { ServiceError } from '../../../src/kernel/service-error.ts';
import { compileCondition, type Condition } from '../../../src/provisioning/query/condition.ts';
import { parseQuery } from '../../../src/provisioning/query/parse-query.ts';
import { selectPage } from '../../../src/provisioning/query/select-page.ts';
import { groupShape, individualShape, recordShape } from '../../../src/provisioning/query/shapes.ts';
import { openProvisioningWorld, type ProvisioningWorld } from '../../fixtures/provisioning-world.ts';

const enrollment = {
  registrationId: 'Sensor-1',
  provisioningStatus: 'enabled',
  createdDateTimeUtc: '2026-06-15T12:00:00.0000000Z',
  capabilities: { iotEdge: false },
  attestation: { type: 'x509' },
  initialTwin: { tags: { site: "o'hare", floor: 3 } },
} as const satisfies JsonObject;

const isSelected = (query: string, resource: JsonObject = enrollment): boolean => {
  const condition = parseQuery(query, individualShape);
  return condition === undefined || compileCondition(condition, individualShape)(resource);
};

describe('what clients send selects everything', () => {
  test.each([undefined, '', ' ', '*', 'SELECT *', 'select * from enrollments', 'SELECT * FROM enrollmentGroups', '\n SELECT  *\t'])(
    '%j',
    (text) => expect(parseQuery(text, individualShape)).toBeUndefined(),
  );
});

describe('WHERE', () => {
  test.each<[string, boolean]>([
    ["provisioningStatus = 'enabled'", true],
    ["provisioningStatus = 'Enabled'", false],
    ["PROVISIONINGSTATUS = 'enabled'", true],
    ['provisioningStatus = "disabled"', false],
    ["provisioningStatus != 'disabled'", true],
    ["provisioningStatus <> 'enabled'", false],
    ["registrationId = 'SENSOR-1'", true],
    ["STARTSWITH(registrationId, 'sensor-')", true],
    ["endswith(registrationId, '-2')", false],
    ["CONTAINS(registrationId, 'SOR')", true],
    ["registrationId IN ['a', 'sensor-1']", true],
    ["registrationId in ('a', 'b')", false],
    ["registrationId NOT IN ('a', 'b')", true],
    ['capabilities.iotEdge = false', true],
    ["attestation.type = 'x509' AND NOT capabilities.iotEdge = true", true],
    ["initialTwin.tags.site = 'o''hare'", true],
    ['initialTwin.tags.site = "o\'hare"', true],
    ['initialTwin.tags.floor >= 3', true],
    ['initialTwin.tags.floor < 3.0', false],
    ['initialTwin.tags.floor > -1e2', true],
    ["initialTwin.tags.floor > '2'", false],
    ["initialTwin.tags.Site = 'o''hare'", false],
    ['IS_DEFINED(initialTwin.tags.site)', true],
    ['IS_DEFINED(deviceId)', false],
    ["deviceId = 'x'", false],
    ["deviceId != 'x'", true],
    ['deviceId = null', false],
    ["initialTwin.tags.constructor = 'x'", false],
    ['IS_DEFINED(initialTwin.toString)', false],
    ["createdDateTimeUtc = '2026-06-15T12:00:00Z'", true],
    ["createdDateTimeUtc < '2026-06-15T12:00:00.001Z'", true],
    ["createdDateTimeUtc >= '2026-06-16'", false],
    ["provisioningStatus = 'x' OR provisioningStatus = 'enabled' AND initialTwin.tags.floor = 3", true],
    ["(provisioningStatus = 'x' OR provisioningStatus = 'enabled') AND initialTwin.tags.floor = 4", false],
    ['NOT NOT IS_DEFINED(attestation)', true],
  ])('%s: %s', (where, expected) => expect(isSelected(`SELECT * FROM enrollments WHERE ${where}`)).toBe(expected));
});

describe('refused with a sentence that says what is understood', () => {
  test.each([
    ['SELECT registrationId', /'\*' was expected at character 8/u],
    ['SELECT', /'\*' is missing at its end/u],
    ['SELECT * WHERE', /a name is missing at its end/u],
    ['SELECT * GROUP BY etag', /WHERE or the end was expected at character 10/u],
    ["SELECT * WHERE etag LIKE 'x'", /one of = != < <= > >= IN was expected at character 21/u],
    ["SELECT * WHERE provisioningstate = 'x'", /there is no member 'provisioningstate'; there are registrationId, deviceId/u],
    ["SELECT * WHERE registrationState.status = 'x'", /there is no member 'registrationState'/u],
    ['SELECT * WHERE etag = etag', /a string, a number, true, false or null was expected/u],
    ["SELECT * WHERE LOWER(etag) = 'x'", /there is no function LOWER/u],
    ['SELECT * WHERE STARTSWITH(etag, 7)', /STARTSWITH takes a string/u],
    ["SELECT * WHERE createdDateTimeUtc > 'yesterday'", /is compared with a date/u],
    ["SELECT * WHERE etag = 'x", /it cannot be read at character 22/u],
    ["SELECT * WHERE (etag = 'x'", /'\)' is missing at its end/u],
    ["SELECT * WHERE etag = 'x' etag", /AND, OR or the end was expected/u],
    ["SELECT * WHERE etag NOT = 'x'", /one of = /u],
    ['SELECT *; DROP TABLE enrollment', /it cannot be read at character 9/u],
    [`SELECT * WHERE ${'('.repeat(17)}etag = 1${')'.repeat(17)}`, /nested deeper than 16/u],
    [`SELECT * WHERE ${'NOT '.repeat(50_000)}etag = 1`, /longer than 4096 characters/u],
    [`SELECT * WHERE ${Array.from({ length: 65 }, () => 'etag = 1').join(' OR ')}`, /more than 64 conditions/u],
    [`SELECT * WHERE etag IN [${Array.from({ length: 65 }, (_, n) => n).join()}]`, /more than 64 conditions and items/u],
    [`SELECT * WHERE ${Array.from({ length: 6 }, () => 'etag IN [1,2,3,4,5,6,7,8,9,10,11]').join(' OR ')}`, /more than 64 conditions/u],
  ])('%s', (query, sentence) => {
    const refusal = catchRefusal(query);
    expect(refusal.error).toBe('DpsBadRequest');
    expect(refusal.message).toMatch(sentence);
    expect(refusal.message).toMatch(/Understood are SELECT \*/u);
  });

  test('any text: a condition or a sentence, never another error', () => {
    const word = fc.constantFrom(
      'SELECT',
      '*',
      'FROM',
      'WHERE',
      'AND',
      'OR',
      'NOT',
      'IN',
      '(',
      ')',
      '[',
      ']',
      ',',
      '.',
      '=',
      '<',
      "'x'",
      '7',
      'etag',
    );
    const texts = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.array(word, { maxLength: 30 }).map((words) => words.join(' ')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          parseQuery(text, groupShape);
        } catch (error) {
          if (!(error instanceof ServiceError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

function catchRefusal(query: string): ServiceError {
  try {
    parseQuery(query, individualShape);
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
  throw new Error('it was read');
}

test('what is written is what is read: generated conditions mean the same as their text', () => {
  const leaf = fc.oneof(
    fc.record({
      member: fc.constantFrom('status', 'deviceId', 'errorCode'),
      operator: fc.constantFrom('=', '!=', '<', '<=', '>', '>='),
      value: fc.oneof(fc.string(), fc.integer()),
    }),
  );
  interface Built {
    readonly text: string;
    readonly holds: (resource: JsonObject) => boolean;
  }
  const compare = (a: unknown, operator: string, b: unknown): boolean => {
    if (operator === '=') return a === b;
    if (operator === '!=') return a !== b;
    if (typeof a !== typeof b) return false;
    const [x, y] = [a as number, b as number];
    return operator === '<' ? x < y : operator === '<=' ? x <= y : operator === '>' ? x > y : x >= y;
  };
  const { tree } = fc.letrec<{ tree: Built }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf.map(({ member, operator, value }) => ({
        text: `${member} ${operator} ${typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : value}`,
        holds: (resource: JsonObject) => compare(resource[member], operator, value),
      })),
      fc
        .tuple(tie('tree'), tie('tree'))
        .map(([a, b]) => ({ text: `(${a.text} AND ${b.text})`, holds: (r: JsonObject) => a.holds(r) && b.holds(r) })),
      fc
        .tuple(tie('tree'), tie('tree'))
        .map(([a, b]) => ({ text: `(${a.text} OR ${b.text})`, holds: (r: JsonObject) => a.holds(r) || b.holds(r) })),
      tie('tree').map((a) => ({ text: `NOT ${a.text}`, holds: (r: JsonObject) => !a.holds(r) })),
    ),
  }));
  const resource = fc.record(
    { status: fc.string(), deviceId: fc.oneof(fc.string(), fc.integer()), errorCode: fc.integer() },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(tree, resource, (built, found) => {
      fc.pre(built.text.length < 4000);
      const condition = parseQuery(`SELECT * WHERE ${built.text}`, recordShape) as Condition;
      expect(compileCondition(condition, recordShape)(found as JsonObject)).toBe(built.holds(found as JsonObject));
    }),
  );
});

describe('pages', () => {
  interface Row {
    readonly id: string;
    readonly status: 'assigned' | 'failed';
  }
  /** A store of rows in the order of their ids, which counts what is read. */
  function listing(rows: readonly Row[]) {
    let read = 0;
    const page = async (request: { readonly limit: number; readonly after?: string }): Promise<Page<Row>> => {
      const from = rows.filter(({ id }) => request.after === undefined || id > request.after);
      const items = from.slice(0, request.limit);
      read += items.length;
      const last = items.at(-1);
      return from.length > items.length && last !== undefined ? { items, next: last.id } : { items };
    };
    return { page, wasRead: () => read };
  }
  const select = (read: ReturnType<typeof listing>['page'], limit: number, after?: string) =>
    selectPage({
      page: { limit, ...(after === undefined ? {} : { after }) },
      condition: parseQuery("SELECT * WHERE status = 'failed'", recordShape),
      shape: recordShape,
      read,
      keyOf: ({ id }: Row) => id,
      render: ({ id, status }: Row) => ({ registrationId: id, status }),
    });

  test('together are exactly what matches, in order, and none is longer than asked for', async () => {
    const statuses = fc.array(fc.constantFrom('assigned' as const, 'failed' as const), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(statuses, fc.integer({ min: 1, max: 9 }), async (found, limit) => {
        const rows = found.map((status, index) => ({ id: `r-${String(index).padStart(3, '0')}`, status }));
        const { page } = listing(rows);
        const seen: string[] = [];
        let after: string | undefined;
        do {
          const answer: Awaited<ReturnType<typeof select>> = await select(page, limit, after);
          expect(answer.items.length).toBeLessThanOrEqual(limit);
          seen.push(...answer.items.map(({ registrationId }) => registrationId));
          after = answer.next;
        } while (after !== undefined);
        expect(seen).toEqual(rows.filter(({ status }) => status === 'failed').map(({ id }) => id));
      }),
    );
  });

  test('one request looks at 2000 rows, and the next goes on behind them', async () => {
    const rows = Array.from({ length: 4500 }, (_, index) => ({
      id: `r-${String(index).padStart(5, '0')}`,
      status: index === 4200 ? ('failed' as const) : ('assigned' as const),
    }));
    const { page, wasRead } = listing(rows);
    const first = await select(page, 10);
    expect([first.items, first.next, wasRead()]).toEqual([[], 'r-01999', 2000]);
    const second = await select(page, 10, first.next);
    const third = await select(page, 10, second.next);
    expect(third).toEqual({ items: [{ registrationId: 'r-04200', status: 'failed' }] });
  });
});

describe('over the store', () => {
  let world: ProvisioningWorld;
  beforeAll(async () => {
    world = await openProvisioningWorld();
    for (const [id, provisioningStatus] of [
      ['a-1', 'enabled'],
      ['B-2', 'disabled'],
      ['c-3', 'enabled'],
      ['d-4', 'disabled'],
    ] as const) {
      await world.putIndividual(id, { provisioningStatus, attestation: { type: 'symmetricKey' } });
    }
  });
  afterAll(() => world.close());

  const ids = async (query: string, limit = 10, after?: string): Promise<readonly [readonly string[], string | undefined]> => {
    const page = await world.provisioning.individualEnrollments.list('dps', { limit, query, ...(after === undefined ? {} : { after }) });
    return [page.items.map(({ registrationId }) => registrationId), page.next];
  };

  test('a condition selects, and pages go on where they ended, whatever the case of the id', async () => {
    const disabled = "SELECT * WHERE provisioningStatus = 'disabled'";
    expect(await ids(disabled)).toEqual([['B-2', 'd-4'], undefined]);
    const [first, next] = await ids(disabled, 1);
    expect(first).toEqual(['B-2']);
    expect(await ids(disabled, 1, next)).toEqual([['d-4'], undefined]);
  });

  test('keys cannot be asked about', async () => {
    expect(await ids('SELECT * WHERE IS_DEFINED(attestation.symmetricKey)')).toEqual([[], undefined]);
    expect((await ids("SELECT * WHERE attestation.type = 'symmetricKey'"))[0]).toHaveLength(4);
  });
});
