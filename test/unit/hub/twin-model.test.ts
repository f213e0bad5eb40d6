import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { renderTimestamp } from '../../../src/contracts/timestamp.ts';
import { seconds } from '../../../src/kernel/clock.ts';
import type { Json, JsonObject } from '../../../src/kernel/json.ts';
import { any, type HubWorld, openHubWorld, refusal } from '../../fixtures/hub-world.ts';
import { ModelSection } from '../../fixtures/twin-model.ts';

let world: HubWorld;
let devices = 0;
beforeAll(async () => void (world = await openHubWorld()));
afterAll(async () => await world.close());

const key = fc.constantFrom('a', 'b', 'c', 'é', '__proto__', 'constructor', '日本');
const scalar = fc.oneof(
  fc.integer({ min: -4503599627370496, max: 4503599627370495 }),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e10, max: 1e10 }),
  fc.string({ maxLength: 8 }),
  fc.boolean(),
);
const { object } = fc.letrec<{ object: JsonObject; value: Json; item: Json }>((tie) => ({
  object: fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((members) => Object.fromEntries<Json>(members)),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.constant(null),
    fc.array(tie('item'), { maxLength: 3 }) as fc.Arbitrary<Json>,
    tie('object'),
  ),
  item: fc.oneof({ depthSize: 'small' }, scalar, fc.constant(null)),
}));

type Step = { readonly kind: 'patch' | 'replace' | 'report'; readonly value: JsonObject; readonly tags: JsonObject | undefined };
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('patch', 'patch', 'report', 'replace'),
  value: object,
  tags: fc.option(object, { nil: undefined }),
});

/** `-0` is no number of JSON's that a store keeps apart. */
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

async function newTwin() {
  const deviceId = `d${(devices += 1)}`;
  await world.create(deviceId);
  const grant = await world.grant(deviceId);
  const at = (): string => renderTimestamp(world.clock.now());
  const desired = new ModelSection(at(), true);
  const reported = new ModelSection(at(), false);
  const tags = new ModelSection(at(), false);
  let version = 2;
  let etag = 1;
  return {
    deviceId,
    grant,
    desired,
    reported,
    async run({ kind, value, tags: tagsPatch }: Step): Promise<void> {
      world.clock.advance(seconds(1));
      if (kind === 'report') {
        await world.hub.devicePlane.patchReported(grant, value);
        if (Object.keys(value).length > 0) version += 1;
        return reported.patch(value, at());
      }
      const body = { properties: { desired: value }, ...(tagsPatch === undefined ? {} : { tags: tagsPatch }) };
      await world.hub.twins[kind]('hub', deviceId, { body, precondition: any });
      const changes = kind === 'replace' || Object.keys(value).length > 0 || Object.keys(tagsPatch ?? {}).length > 0;
      if (changes) [version, etag] = [version + 1, etag + 1];
      desired[kind](value, at());
      tags[kind](tagsPatch ?? {}, at());
    },
    async compare(): Promise<void> {
      const twin = await world.hub.twins.get('hub', deviceId);
      const etagBytes = Buffer.alloc(8);
      etagBytes.writeBigUInt64BE(BigInt(etag));
      expect(asJson({ version: twin.version, etag: twin.etag, tags: twin.tags ?? {}, properties: twin.properties })).toEqual(
        asJson({
          version,
          etag: etagBytes.toString('base64'),
          tags: tags.properties,
          properties: {
            desired: { ...desired.properties, $metadata: desired.metadata, $version: desired.version },
            reported: { ...reported.properties, $metadata: reported.metadata, $version: reported.version },
          },
        }),
      );
      const seen = await world.hub.devicePlane.getTwin(grant);
      expect(asJson(seen)).toEqual(
        asJson({
          desired: { ...desired.properties, $version: desired.version },
          reported: { ...reported.properties, $version: reported.version },
        }),
      );
    },
  };
}

test('after any changes the twin is what the reference says: values, metadata, versions, etag', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
      const twin = await newTwin();
      for (const one of steps) {
        await twin.run(one);
        await twin.compare();
      }
    }),
    { numRuns: 120 },
  );
}, 60_000);

const nested = (depth: number, leaf: Json): JsonObject => (depth <= 1 ? { a: leaf } : { a: nested(depth - 1, leaf) });

test('of any depth: ten levels are taken, an eleventh is refused and changes nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 14 }), fc.constantFrom('patch', 'replace', 'report'), async (depth, kind) => {
      const twin = await newTwin();
      // Ten objects below the section, and a value in the last: a section is no level of its own.
      const run = twin.run({ kind, value: nested(depth, {}), tags: undefined });
      if (depth > 10) await expect(run).rejects.toMatchObject(refusal('ArgumentInvalid'));
      else await run;
      await twin.compare();
    }),
    { numRuns: 40 },
  );
});

test('of any size: 32 KB of a section by the count of the reference are taken, one more byte is not', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: -3, max: 3 }), fc.constantFrom('patch', 'replace', 'report'), async (over, kind) => {
      const twin = await newTwin();
      const members: Record<string, Json> = {
        number: 1.5,
        truth: true,
        list: [1, 'é', false],
        control: 'a\u0001\u0085b',
        inner: { 日: 'x' },
      };
      for (let at = 0; at < 8; at += 1) members[`m${at}`] = 'x'.repeat(4000);
      const trial = new ModelSection('', false);
      trial.patch(members, '');
      members['rest'] = 'é'.repeat(1);
      const left = 32 * 1024 + over - trial.bytes - 4;
      members['rest'] = 'y'.repeat(left);
      const run = twin.run({ kind, value: members, tags: undefined });
      if (over > 0) await expect(run).rejects.toMatchObject(refusal('ArgumentInvalid', 'bytes'));
      else await run;
      await twin.compare();
    }),
    { numRuns: 30 },
  );
});

test.each<readonly [string, JsonObject]>([
  ['a key with a dot', { 'a.b': 1 }],
  ['a key with a dollar', { a: { $b: 1 } }],
  ['a key with a space', { 'a b': 1 }],
  ['a key with a control character', { 'a\u0000': 1 }],
  ['an empty key', { '': 1 }],
  ['a key of more than 1 KB', { ['k'.repeat(1025)]: 1 }],
  ['a text of more than 4 KB', { a: 'é'.repeat(2049) }],
  ['an integer beyond 52 bits', { a: 4503599627370496 }],
  ['an integer below them', { a: [-4503599627370497] }],
])('refused/%s, in every section, with 400', async (_, value) => {
  const twin = await newTwin();
  for (const kind of ['patch', 'replace', 'report'] as const) {
    await expect(twin.run({ kind, value, tags: undefined })).rejects.toMatchObject({
      error: 'ArgumentInvalid',
      row: { http: 400, code: 400004 },
    });
  }
  await expect(twin.run({ kind: 'patch', value: {}, tags: value })).rejects.toMatchObject({ error: 'ArgumentInvalid' });
  await twin.compare();
});
