import { describe, expect, test } from 'vitest';

import { applyGenericUpdate } from '../../../src/cli/commands/generic-update.ts';
import { CliFailure } from '../../../src/cli/exit-code.ts';
import type { JsonObject } from '../../../src/kernel/json.ts';

const original: JsonObject = { a: { b: 1 }, list: [{ n: 'x' }, { n: 'y' }], status: 'enabled' };
type Change = Partial<Parameters<typeof applyGenericUpdate>[1]>;
const apply = (change: Change): JsonObject =>
  applyGenericUpdate(original, { set: [], add: [], remove: [], forceString: undefined, ...change });

describe('generic update', () => {
  test.each<[string, Change, JsonObject]>([
    ['a text', { set: [['status=disabled']] }, { ...original, status: 'disabled' }],
    ['a number', { set: [['a.b=2']] }, { ...original, a: { b: 2 } }],
    ['JSON', { set: [['a={"c":[1]}']] }, { ...original, a: { c: [1] } }],
    ['a value with =', { set: [['status=x=y']] }, { ...original, status: 'x=y' }],
    ['no JSON when forced', { set: [['a.b=2']], forceString: true }, { ...original, a: { b: '2' } }],
    ['a path that is new', { set: [['x.y.z=true']] }, { ...original, x: { y: { z: true } } }],
    ['an element', { set: [['list[1].n=z']] }, { ...original, list: [{ n: 'x' }, { n: 'z' }] }],
    ['add an object', { add: [['list', 'n=z', 'm=1']] }, { ...original, list: [{ n: 'x' }, { n: 'y' }, { n: 'z', m: 1 }] }],
    ['add a value to a new list', { add: [['tags', 'one']] }, { ...original, tags: ['one'] }],
    ['remove a property', { remove: [['a.b']] }, { ...original, a: {} }],
    ['remove an element', { remove: [['list', '0']] }, { ...original, list: [{ n: 'y' }] }],
  ])('%s', (_name, change, result) => expect(apply(change)).toEqual(result));

  test('the original stays as it is', () => {
    apply({ set: [['a.b=2']], remove: [['list', '0']] });
    expect(original).toEqual({ a: { b: 1 }, list: [{ n: 'x' }, { n: 'y' }], status: 'enabled' });
  });

  test.each<[string, Change]>([
    ['no value', { set: [['status']] }],
    ['through a text', { set: [['status.x=1']] }],
    ['an index beyond the end', { set: [['list[5]=1']] }],
    ['add to what is no list', { add: [['status', 'x']] }],
    ['remove what is not there', { remove: [['a.c']] }],
    ['the prototype', { set: [['__proto__.polluted=1']] }],
    ['the prototype of the prototype', { set: [['constructor.prototype.polluted=1']] }],
    ['an empty step', { set: [['a..b=1']] }],
  ])('refuses %s', (_name, change) => {
    expect(() => apply(change)).toThrow(CliFailure);
    expect({}).not.toHaveProperty('polluted');
  });
});
