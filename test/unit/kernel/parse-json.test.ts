import fc from 'fast-check';
import { expect, test } from 'vitest';
import { locateJsonError } from '../../../src/kernel/locate-json-error.ts';
import { parseJson } from '../../../src/kernel/parse-json.ts';

test('whatever is JSON is read as such', () => {
  fc.assert(
    fc.property(fc.json({ noUnicodeString: false }), (text) => {
      fc.pre(!text.includes('__proto__'));
      expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text));
    }),
  );
});

test('a control character is a mistake wherever it stands, and is found there or at the token that it breaks', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), (text, at) => {
      const place = at % text.length;
      const { offset } = locateJsonError(`${text.slice(0, place)}\u0001${text.slice(place)}`);
      expect(offset).toBeLessThanOrEqual(place);
      expect(place - offset).toBeLessThanOrEqual(5);
    }),
  );
});

test('a text that breaks off is a mistake at its end or at the token that is cut', () => {
  fc.assert(
    fc.property(fc.object({ maxDepth: 3 }), fc.nat(), (value, at) => {
      const text = JSON.stringify(value);
      const cut = text.slice(0, at % text.length);
      const { offset } = locateJsonError(cut);
      expect(offset).toBeLessThanOrEqual(cut.length);
      expect(cut.length - offset).toBeLessThanOrEqual(5);
    }),
  );
});

test('no text at all ends the service', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        parseJson(bytes);
      } catch (error) {
        expect(error).toMatchObject({ error: 'GenericBadRequest' });
      }
    }),
  );
});
