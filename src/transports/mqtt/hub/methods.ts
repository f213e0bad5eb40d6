import { createPendingCalls, readMethodAnswer } from '../../../hub/methods/pending-calls.ts';
import type { MethodCall, MethodOutcome } from '../../../hub/ports.ts';
import type { MqttLink } from '../engine/binding.ts';
import { renderMethodTopic } from './topics.ts';

/** Direct methods of one device over its connection (reference 3.7). */
export interface MethodTopics {
  /** Whether the device has subscribed to calls. */
  subscribed: boolean;
  call(call: MethodCall, signal: AbortSignal): Promise<MethodOutcome> | undefined;
  /** Returns whether anybody waited for this answer. */
  answer(rid: string, status: number, payload: Buffer): boolean;
  end(): void;
}

export function createMethodTopics(link: Pick<MqttLink, 'deliver'>): MethodTopics {
  let last = 0;
  // Short and without `/` and `&`: C# cuts it out of the topic by position.
  const pending = createPendingCalls(() => (last += 1).toString(16));
  return {
    subscribed: false,
    call({ name, payload }, signal) {
      if (!this.subscribed) return undefined;
      return pending.begin(signal, (rid) =>
        link.deliver({ topic: renderMethodTopic(name, rid), payload: Buffer.from(JSON.stringify(payload)), qos: 0 }),
      );
    },
    answer: (rid, status, payload) => pending.answer(rid, readMethodAnswer(status, payload)),
    end: () => pending.end(),
  };
}
