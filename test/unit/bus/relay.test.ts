import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type ChannelEnd, createChannelEnd, createRelay } from '../../../src/bus/relay.ts';

function openMember(relay: ReturnType<typeof createRelay>, id: string, onMessage: (end: ChannelEnd, message: unknown) => void = () => {}) {
  const heard: string[] = [];
  const end = createChannelEnd((message) => relay.tell(id, message));
  relay.add(id, (event) => end.receive(event));
  const attach = (): void =>
    end.attach({
      onMessage: (from, message) => {
        heard.push(`${from}:${String(message)}`);
        onMessage(end, message);
      },
      onJoin: (member) => heard.push(`+${member}`),
      onLeave: (member) => heard.push(`-${member}`),
    });
  return { end, heard, attach };
}

describe('relay', () => {
  test('everybody hears everything in one order, the speaker as well, though some answer while others are being told', () => {
    const relay = createRelay();
    const answering = openMember(relay, 'a', (end, message) => {
      if (message === 'question') end.tell('answer');
    });
    const listening = openMember(relay, 'b');
    for (const member of [answering, listening]) member.attach();
    listening.end.tell('question');
    listening.end.tell('more');
    expect(listening.heard).toEqual(['b:question', 'a:answer', 'b:more']);
    expect(answering.heard).toEqual(['+b', ...listening.heard]);
  });

  test('a member that comes knows who is there, and hears what was told since, however late it listens', () => {
    const relay = createRelay();
    const first = openMember(relay, 'a');
    first.attach();
    first.end.tell('before');
    const late = openMember(relay, 'b');
    first.end.tell('early');
    expect([late.end.self, late.end.others]).toEqual(['b', ['a']]);
    late.attach();
    expect(late.heard).toEqual(['a:early']);
    expect(first.end.others).toEqual(['b']);
    relay.remove('b');
    late.end.tell('from beyond');
    expect(first.heard).toEqual(['a:before', '+b', 'a:early', '-b']);
    expect(first.end.others).toEqual([]);
  });

  test('whoever comes, goes and speaks, what two members hear while both are there is the same', () => {
    const steps = fc.array(fc.record({ who: fc.constantFrom('a', 'b', 'c'), what: fc.constantFrom('add', 'tell', 'remove') }), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, (script) => {
        const relay = createRelay();
        const watcher = openMember(relay, 'w');
        watcher.attach();
        const there = new Map<string, ReturnType<typeof openMember> & { readonly since: number }>();
        for (const [index, { who, what }] of script.entries()) {
          const member = there.get(who);
          if (what === 'add' && member === undefined) {
            const made = openMember(relay, who);
            made.attach();
            there.set(who, { ...made, since: watcher.heard.length });
          } else if (what === 'tell') member?.end.tell(index);
          else if (what === 'remove' && member !== undefined) {
            expect(member.heard).toEqual(watcher.heard.slice(member.since));
            relay.remove(who);
            there.delete(who);
          }
        }
      }),
    );
  });

  test('an end is no use before its welcome, and has one listener', () => {
    const end = createChannelEnd(() => {});
    expect(() => end.self).toThrow('before its member was welcomed');
    const { end: member, attach } = openMember(createRelay(), 'a');
    attach();
    expect(() => member.attach({ onMessage: () => {}, onJoin: () => {}, onLeave: () => {} })).toThrow('one listener');
  });
});
