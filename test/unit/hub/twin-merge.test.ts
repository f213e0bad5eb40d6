import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TwinSection } from '../../../src/hub/ports.ts';
import { emptySection, mergeProperties, mergeSection, writeSection } from '../../../src/hub/twin-merge.ts';
import { instant } from '../../../src/kernel/clock.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../src/kernel/json.ts';

const first = instant(Date.UTC(2026, 0, 1));
const later = instant(Date.UTC(2026, 0, 2));
const desired = { at: later, withVersions: true };
const reported = { at: later, withVersions: false };

const firstText = '2026-01-01T00:00:00.0000000Z';
const laterText = '2026-01-02T00:00:00.0000000Z';

describe('merge', () => {
  test.each<[string, JsonObject, JsonObject, JsonObject]>([
    ['a new member', { a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    ['a changed member', { a: 1 }, { a: 2 }, { a: 2 }],
    ['null deletes', { a: 1, b: 2 }, { a: null }, { b: 2 }],
    ['null for what is not there', { a: 1 }, { b: null }, { a: 1 }],
    ['objects merge', { a: { b: 1, c: 2 } }, { a: { b: 3 } }, { a: { b: 3, c: 2 } }],
    ['an object replaces a scalar', { a: 1 }, { a: { b: 1, c: null } }, { a: { b: 1 } }],
    ['a scalar replaces an object', { a: { b: 1 } }, { a: 1 }, { a: 1 }],
    ['arrays replace, they do not merge', { a: [1, 2, 3] }, { a: [4] }, { a: [4] }],
    ['deep nulls delete', { a: { b: { c: 1, d: 2 } } }, { a: { b: { c: null } } }, { a: { b: { d: 2 } } }],
    ['the last member of an object leaves it empty', { a: { b: 1 } }, { a: { b: null } }, { a: {} }],
  ])('%s', (_, target, patch, expected) => {
    expect(mergeProperties(target, patch)).toEqual(expected);
  });

  test('a member called __proto__ is a member like any other', () => {
    const patch = JSON.parse('{"__proto__":{"admin":true},"constructor":1}') as JsonObject;
    const merged = mergeProperties({}, patch);
    expect(JSON.stringify(merged)).toBe('{"__proto__":{"admin":true},"constructor":1}');
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
  });
});

describe('metadata', () => {
  test('a section that nobody wrote says only since when', () => {
    expect(emptySection(first)).toEqual({ version: 1, properties: {}, metadata: { $lastUpdated: firstText } });
  });

  test('a seeded desired section is version 1 on every level', () => {
    const stamp = { $lastUpdated: laterText, $lastUpdatedVersion: 1 };
    expect(writeSection({ a: { b: 1 }, c: null }, desired, 1)).toEqual({
      version: 1,
      properties: { a: { b: 1 } },
      metadata: { ...stamp, a: { ...stamp, b: stamp } },
    });
  });

  test('a patch stamps what it touches and the way to it, and nothing else', () => {
    const before = writeSection({ a: { b: 1, c: 2 }, d: 3 }, { at: first, withVersions: true }, 1);
    const old = { $lastUpdated: firstText, $lastUpdatedVersion: 1 };
    const fresh = { $lastUpdated: laterText, $lastUpdatedVersion: 2 };
    expect(mergeSection(before, { a: { b: 9 } }, desired).metadata).toEqual({ ...fresh, a: { ...fresh, b: fresh, c: old }, d: old });
  });

  test('reported sections keep no versions in it', () => {
    const stamp = { $lastUpdated: laterText };
    expect(mergeSection(emptySection(first), { a: [1] }, reported)).toEqual({
      version: 2,
      properties: { a: [1] },
      metadata: { ...stamp, a: stamp },
    });
  });
});

describe('properties', () => {
  const key = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', 'toString', '0', 'é');
  const scalar = fc.oneof(fc.integer(), fc.boolean(), fc.string({ maxLength: 4 }));
  const document = (leaf: fc.Arbitrary<unknown>): fc.Arbitrary<JsonObject> =>
    fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: 'small' }, leaf, fc.array(leaf, { maxLength: 3 }), tie('object')),
      object: fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((members) => Object.fromEntries(members)),
    })).object as fc.Arbitrary<JsonObject>;
  const anyTarget = document(scalar);
  const anyPatch = document(fc.oneof(scalar, fc.constant(null)));

  test('a merge does what the pseudo-code of RFC 7386 does', () => {
    fc.assert(
      fc.property(anyTarget, anyPatch, (target, patch) => {
        expect(toModel(mergeProperties(target, patch))).toEqual(modelMerge(toModel(target), toModel(patch)));
      }),
    );
  });

  test('the difference between two documents, as a patch, turns one into the other', () => {
    fc.assert(
      fc.property(anyTarget, anyTarget, (from, to) => {
        expect(toModel(mergeProperties(from, difference(from, to)))).toEqual(toModel(to));
      }),
    );
  });

  test('the same patch again changes nothing more', () => {
    fc.assert(
      fc.property(anyTarget, anyPatch, (target, patch) => {
        const once = mergeProperties(target, patch);
        expect(toModel(mergeProperties(once, patch))).toEqual(toModel(once));
      }),
    );
  });

  test('neither target nor patch is written to', () => {
    fc.assert(
      fc.property(anyTarget, anyPatch, (target, patch) => {
        const before = JSON.stringify([target, patch]);
        mergeProperties(target, patch);
        expect(JSON.stringify([target, patch])).toBe(before);
      }),
    );
  });

  test('metadata has the shape of the properties after any sequence of patches, and versions never ahead of the section', () => {
    fc.assert(
      fc.property(fc.array(anyPatch, { maxLength: 6 }), (patches) => {
        const section = patches.reduce<TwinSection>((current, patch) => mergeSection(current, patch, desired), emptySection(first));
        expect(section.version).toBe(1 + patches.length);
        expect(shapeOfMetadata(section.metadata)).toEqual(shapeOf(section.properties));
        for (const version of versionsIn(section.metadata)) expect(version).toBeLessThanOrEqual(section.version);
      }),
    );
  });
});

/** A document as nested maps: keys such as `__proto__` mean nothing to them. */
type Model = Map<string, Model> | string;

function toModel(value: Json): Model {
  if (!isJsonObject(value)) return JSON.stringify(value);
  return new Map(Object.entries(value).map(([key, item]) => [key, toModel(item)]));
}

// RFC 7386 section 2.
function modelMerge(target: Model, patch: Model): Model {
  if (!(patch instanceof Map)) return patch;
  const result = new Map(target instanceof Map ? target : []);
  for (const [name, value] of patch) {
    if (value === 'null') result.delete(name);
    else result.set(name, modelMerge(result.get(name) ?? '', value));
  }
  return result;
}

function difference(from: JsonObject, to: JsonObject): JsonObject {
  const gone = Object.keys(from).filter((key) => !Object.hasOwn(to, key));
  const changed = Object.entries(to).map(([key, value]): [string, Json] => {
    const before = Object.hasOwn(from, key) ? from[key] : undefined;
    return [key, isJsonObject(before) && isJsonObject(value) ? difference(before, value) : value];
  });
  return Object.fromEntries([...gone.map((key): [string, Json] => [key, null]), ...changed]);
}

function shapeOf(value: Json | undefined): Model {
  return isJsonObject(value) ? new Map(Object.entries(value).map(([key, item]) => [key, shapeOf(item)])) : new Map();
}

function shapeOfMetadata(metadata: JsonObject): Model {
  const members = Object.entries(metadata).filter(([key]) => !key.startsWith('$'));
  return new Map(members.map(([key, item]) => [key, shapeOfMetadata(item as JsonObject)]));
}

function versionsIn(metadata: JsonObject): readonly number[] {
  return Object.entries(metadata).flatMap(([key, item]) => {
    if (key === '$lastUpdatedVersion') return [item as number];
    return isJsonObject(item) ? versionsIn(item) : [];
  });
}
