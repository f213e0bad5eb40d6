import { expect, test } from 'vitest';

import { bareHost } from '../../../src/contracts/host-name.ts';

test.each([
  ['Hub.Example.org:5671', 'hub.example.org'],
  [' hub.example.org. ', 'hub.example.org'],
  ['hub.example.org.:443', 'hub.example.org'],
  ['[2001:DB8::1]:443', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['2001:db8::1', '2001:db8::1'],
  ['', ''],
])('%j is bare %j', (host, expected) => {
  expect(bareHost(host)).toBe(expected);
});
