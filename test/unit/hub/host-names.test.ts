import { describe, expect, test } from 'vitest';
import { hubOfHost } from '../../../src/hub/host-names.ts';
import type { HubInstance } from '../../../src/hub/ports.ts';
import { instant } from '../../../src/kernel/clock.ts';

const hub = (name: string): HubInstance => ({ name, hostName: `${name}.example.org`, createdAt: instant(0) });

describe('hub of a host', () => {
  test.each<[string, readonly string[], string | undefined]>([
    ['a.example.org', ['a', 'b'], 'a'],
    ['B.EXAMPLE.org:8883', ['a', 'b'], 'b'],
    ['localhost', ['a'], 'a'],
    ['a.example.org.', ['a', 'b'], 'a'],
    ['localhost:443', ['a'], 'a'],
    ['127.0.0.1', ['a'], 'a'],
    ['127.8.9.10:443', ['a'], 'a'],
    ['[::1]:443', ['a'], 'a'],
    ['::1', ['a'], 'a'],
    ['localhost', ['a', 'b'], undefined],
    ['127.0.0.1.example.org', ['a'], undefined],
    ['other.example.org', ['a'], undefined],
    ['', ['a'], undefined],
    ['localhost', [], undefined],
  ])('%s among %j is %s', (host, names, expected) => {
    expect(hubOfHost(names.map(hub), host)?.name).toBe(expected);
  });

  test('a hub that is called localhost wins over being the only one', () => {
    const hubs = [hub('a'), { ...hub('b'), hostName: 'localhost' }];
    expect(hubOfHost(hubs, 'LOCALHOST:443')?.name).toBe('b');
  });
});
