import type { Channel, MemberId } from './channel.ts';

/** One subject of a channel, for one user of it. */
export interface Topic {
  /** Of this member. */
  readonly self: MemberId;
  /** Whoever is there now, without this one. */
  readonly others: readonly MemberId[];
  /** To everybody, this member as well. */
  tell(message: unknown): void;
  /** Every listener hears what everybody tells, in the channel's order. */
  onMessage(listener: (from: MemberId, message: unknown) => void): void;
  onJoin(listener: (member: MemberId) => void): void;
  onLeave(listener: (member: MemberId) => void): void;
}

export interface Topics {
  /** The same name is the same topic. */
  topic(name: string): Topic;
  /** To be called when everybody listens: nothing is heard before, and nothing is lost. */
  open(): void;
}

interface Told {
  readonly topic: string;
  readonly message: unknown;
}

/** Lets several share a channel. */
export function createTopics(channel: Channel): Topics {
  const hearing = new Map<string, ((from: MemberId, message: unknown) => void)[]>();
  const joining: ((member: MemberId) => void)[] = [];
  const leaving: ((member: MemberId) => void)[] = [];
  return {
    topic: (name) => ({
      get self() {
        return channel.self;
      },
      get others() {
        return channel.others;
      },
      tell: (message) => channel.tell({ topic: name, message } satisfies Told),
      onMessage: (listener) => void hearing.set(name, [...(hearing.get(name) ?? []), listener]),
      onJoin: (listener) => void joining.push(listener),
      onLeave: (listener) => void leaving.push(listener),
    }),
    open: () =>
      channel.attach({
        onMessage: (from, told) => {
          // Told by this very code in another process.
          const { topic, message } = told as Told;
          for (const listener of hearing.get(topic) ?? []) listener(from, message);
        },
        onJoin: (member) => joining.forEach((listener) => listener(member)),
        onLeave: (member) => leaving.forEach((listener) => listener(member)),
      }),
  };
}
