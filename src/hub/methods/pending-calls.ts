import { limits } from '../../contracts/limits.ts';
import { parseJson } from '../../kernel/parse-json.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { MethodOutcome } from '../ports.ts';

/** The calls that one session has handed to its device and waits for. */
export interface PendingCalls {
  /** `hand` gets the id of the call to the device; resolves with what became of it. */
  begin(signal: AbortSignal, hand: (callId: string) => void): Promise<MethodOutcome>;
  /** An answer. Returns whether anybody waited for it. */
  answer(callId: string, outcome: MethodOutcome): boolean;
  /** The session is over: nobody will answer. */
  end(): void;
}

/** `newId` makes ids in the form that the protocol's clients demand. */
export function createPendingCalls(newId: () => string): PendingCalls {
  const waiting = new Map<string, (outcome: MethodOutcome) => void>();
  let over = false;
  return {
    async begin(signal, hand) {
      if (over) return { kind: 'connection-lost' };
      if (signal.aborted) return { kind: 'abandoned' };
      if (waiting.size >= limits.methodsInflight) return { kind: 'refused', reason: 'too-many' };
      const callId = newId();
      return new Promise<MethodOutcome>((resolve) => {
        const abandon = (): void => finish({ kind: 'abandoned' });
        const finish = (outcome: MethodOutcome): void => {
          waiting.delete(callId);
          signal.removeEventListener('abort', abandon);
          resolve(outcome);
        };
        waiting.set(callId, finish);
        signal.addEventListener('abort', abandon);
        hand(callId);
      });
    },
    answer(callId, outcome) {
      const finish = waiting.get(callId);
      finish?.(outcome);
      return finish !== undefined;
    },
    end() {
      over = true;
      for (const finish of waiting.values()) finish({ kind: 'connection-lost' });
    },
  };
}

/** The outcome of an answer's bytes: JSON, or nothing, which is null. */
export function readMethodAnswer(status: number, payload: Buffer): MethodOutcome {
  if (payload.length > limits.methodBytes) return { kind: 'refused', reason: 'too-large' };
  try {
    return { kind: 'answered', status, payload: parseJson(payload) ?? null };
  } catch (thrown) {
    if (!(thrown instanceof ServiceError)) throw thrown;
    return { kind: 'refused', reason: 'not-json' };
  }
}
