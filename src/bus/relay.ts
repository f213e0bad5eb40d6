import type { Channel, ChannelListener, MemberId } from './channel.ts';

/** What a member hears, in the order that is the same for all; `welcome` comes first. */
export type ChannelEvent =
  | { readonly kind: 'welcome'; readonly self: MemberId; readonly others: readonly MemberId[] }
  | { readonly kind: 'message'; readonly from: MemberId; readonly message: unknown }
  | { readonly kind: 'join' | 'leave'; readonly member: MemberId };

/** The one place that all messages of a channel pass, which gives them their order. */
export interface Relay {
  /** From now on `deliver` is called with everything that is told. It must not throw. */
  add(member: MemberId, deliver: (event: ChannelEvent) => void): void;
  /** Of a member that was removed nothing is heard any more. */
  tell(from: MemberId, message: unknown): void;
  remove(member: MemberId): void;
}

export function createRelay(): Relay {
  const members = new Map<MemberId, (event: ChannelEvent) => void>();
  const waiting: (() => void)[] = [];
  let isPassing = false;

  /** A member that answers while it is being told is heard after everybody was told. */
  function pass(step: () => void): void {
    waiting.push(step);
    if (isPassing) return;
    isPassing = true;
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) next();
    } finally {
      isPassing = false;
    }
  }

  function toAll(event: ChannelEvent): void {
    for (const deliver of members.values()) deliver(event);
  }

  return {
    add: (member, deliver) =>
      pass(() => {
        if (members.has(member)) throw new Error(`bug: ${member} is a member already`);
        deliver({ kind: 'welcome', self: member, others: [...members.keys()] });
        toAll({ kind: 'join', member });
        members.set(member, deliver);
      }),
    tell: (from, message) =>
      pass(() => {
        if (members.has(from)) toAll({ kind: 'message', from, message });
      }),
    remove: (member) =>
      pass(() => {
        if (members.delete(member)) toAll({ kind: 'leave', member });
      }),
  };
}

/** A member's end of a channel. */
export interface ChannelEnd extends Channel {
  /** To be called with every event that the relay delivers, in order. */
  receive(event: ChannelEvent): void;
}

/** `send` takes a message to the relay. The end can be used once it was welcomed; what arrives before `attach` is kept for it. */
export function createChannelEnd(send: (message: unknown) => void): ChannelEnd {
  const others = new Set<MemberId>();
  const early: ChannelEvent[] = [];
  let self: MemberId | undefined;
  let listener: ChannelListener | undefined;

  function hear(event: ChannelEvent, to: ChannelListener): void {
    switch (event.kind) {
      case 'message':
        return to.onMessage(event.from, event.message);
      case 'join':
        others.add(event.member);
        return to.onJoin(event.member);
      case 'leave':
        others.delete(event.member);
        return to.onLeave(event.member);
      default:
        throw new Error('bug: a member was welcomed twice');
    }
  }

  return {
    get self() {
      if (self === undefined) throw new Error('bug: a channel was used before its member was welcomed');
      return self;
    },
    get others() {
      return [...others];
    },
    tell: send,
    attach(given) {
      if (listener !== undefined) throw new Error('bug: a channel has one listener');
      listener = given;
      for (const event of early.splice(0)) hear(event, given);
    },
    receive(event) {
      if (event.kind === 'welcome' && self === undefined) {
        ({ self } = event);
        for (const other of event.others) others.add(other);
      } else if (listener === undefined) early.push(event);
      else hear(event, listener);
    },
  };
}
