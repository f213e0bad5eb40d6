import type { IdentityPath } from '../contracts/hub/identity-path.ts';
import type { MethodCall, MethodOutcome, SessionBus } from '../hub/ports.ts';
import { assertNever } from '../kernel/assert-never.ts';
import type { MemberId } from './channel.ts';
import type { Identity } from './remote-presences.ts';
import type { Topic } from './topics.ts';

/** Direct methods of devices that another member holds. */
export interface RemoteCalls {
  /** `undefined` when nobody's session of the device takes calls now. */
  call(identity: Identity, call: MethodCall, signal: AbortSignal): Promise<MethodOutcome | undefined>;
}

type Message =
  | ({ readonly kind: 'call'; readonly to: MemberId; readonly number: number; readonly call: MethodCall } & Identity)
  | { readonly kind: 'answer'; readonly to: MemberId; readonly number: number; readonly outcome?: MethodOutcome }
  | { readonly kind: 'failed'; readonly to: MemberId; readonly number: number; readonly failure: string }
  | { readonly kind: 'abandon'; readonly to: MemberId; readonly number: number };

interface Asked {
  readonly holder: MemberId;
  settle(outcome: MethodOutcome | undefined): void;
  fail(error: Error): void;
}

export function createRemoteCalls({
  topic,
  local,
  holders,
}: {
  readonly topic: Topic;
  readonly local: Pick<SessionBus, 'callMethod'>;
  readonly holders: (hub: string, path: IdentityPath) => readonly MemberId[];
}): RemoteCalls {
  const tell = (message: Message): void => topic.tell(message);
  const asking = createAsking(tell);
  const serving = createServing(local);

  function hear(from: MemberId, message: Message): void {
    if (message.to !== topic.self) return;
    switch (message.kind) {
      case 'call':
        return void serving.serve(from, message).then(tell);
      case 'answer':
        return asking.settle(message.number, message.outcome);
      case 'failed':
        return asking.fail(message.number, new Error(`${from}: ${message.failure}`));
      case 'abandon':
        return serving.abandon(from, message.number);
      default:
        return assertNever(message);
    }
  }

  topic.onMessage((from, message) => hear(from, message as Message));
  topic.onLeave((member) => {
    // Its sockets are gone with it, and whoever waited for it waits no more.
    asking.lost(member);
    serving.abandonAll(member);
  });
  return {
    async call(identity, call, signal) {
      for (const holder of holders(identity.hub, identity.path)) {
        // Gone while another was asked: nobody would say so again.
        if (!topic.others.includes(holder)) continue;
        const outcome = await asking.ask({ to: holder, ...identity, call }, signal);
        if (outcome !== undefined) return outcome;
      }
      return undefined;
    },
  };
}

/** Calls of this member that a holder has been asked for. */
function createAsking(tell: (message: Message) => void) {
  const asked = new Map<number, Asked>();
  let numbers = 0;
  return {
    async ask(call: Omit<Extract<Message, { kind: 'call' }>, 'kind' | 'number'>, signal: AbortSignal): Promise<MethodOutcome | undefined> {
      numbers += 1;
      const number = numbers;
      const abandon = (): void => {
        tell({ kind: 'abandon', to: call.to, number });
        asked.get(number)?.settle({ kind: 'abandoned' });
      };
      try {
        return await new Promise((settle, fail) => {
          asked.set(number, { holder: call.to, settle, fail });
          signal.addEventListener('abort', abandon, { once: true });
          tell({ kind: 'call', number, ...call });
          if (signal.aborted) abandon();
        });
      } finally {
        asked.delete(number);
        signal.removeEventListener('abort', abandon);
      }
    },
    settle: (number: number, outcome: MethodOutcome | undefined) => asked.get(number)?.settle(outcome),
    fail: (number: number, error: Error) => asked.get(number)?.fail(error),
    lost(member: MemberId) {
      for (const call of asked.values()) if (call.holder === member) call.settle({ kind: 'connection-lost' });
    },
  };
}

/** Calls of others to devices that this member holds. */
function createServing(local: Pick<SessionBus, 'callMethod'>) {
  const underWay = new Map<MemberId, Map<number, AbortController>>();
  return {
    /** Returns what to tell whoever asked. */
    async serve(from: MemberId, { number, hub, path, call }: Extract<Message, { kind: 'call' }>): Promise<Message> {
      const own = underWay.get(from) ?? new Map<number, AbortController>();
      underWay.set(from, own);
      const abandon = new AbortController();
      own.set(number, abandon);
      try {
        const outcome = await local.callMethod(hub, path, call, abandon.signal);
        return { kind: 'answer', to: from, number, ...(outcome === undefined ? {} : { outcome }) };
      } catch (error) {
        return { kind: 'failed', to: from, number, failure: error instanceof Error ? error.message : String(error) };
      } finally {
        own.delete(number);
      }
    },
    abandon: (from: MemberId, number: number) => underWay.get(from)?.get(number)?.abort(),
    abandonAll(member: MemberId) {
      for (const abandon of underWay.get(member)?.values() ?? []) abandon.abort();
      underWay.delete(member);
    },
  };
}
