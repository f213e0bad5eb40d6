import { type ByteBudget, unlimitedBytes } from '../../../src/kernel/byte-budget.ts';
import type {
  ConnectRequest,
  InboundMessage,
  MqttBinding,
  MqttLink,
  MqttSession,
  SessionEnd,
  Taken,
} from '../../../src/transports/mqtt/engine/binding.ts';
import { createMqttEngine } from '../../../src/transports/mqtt/engine/engine.ts';
import type { MqttLimits } from '../../../src/transports/mqtt/engine/limits.ts';
import { refusalCode } from '../../../src/transports/mqtt/errors.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';

export const testLimits: MqttLimits = {
  unauthenticatedBytes: 1024,
  connectSeconds: 20,
  keepAliveSeconds: 1767,
  subscriptions: 3,
  inflight: 4,
  outboundBytes: 64 * 1024,
  connections: 100,
};

export interface TestService {
  connect?: (request: ConnectRequest, link: MqttLink) => Promise<void>;
  take?: (messages: readonly InboundMessage[]) => Promise<Taken>;
  grants?: (filter: string) => boolean;
}

/** A service of the test's own, so that the engine is seen alone. */
export class TestBinding implements MqttBinding {
  readonly name = 'test';
  readonly requests: ConnectRequest[] = [];
  readonly links: MqttLink[] = [];
  readonly messages: string[] = [];
  readonly batches: number[] = [];
  readonly ends: SessionEnd[] = [];
  readonly #service: TestService;

  constructor(service: TestService = {}) {
    this.#service = service;
  }

  claims(userName: string): boolean {
    return userName.startsWith('test');
  }

  async connect(request: ConnectRequest, link: MqttLink): Promise<MqttSession> {
    this.requests.push(request);
    this.links.push(link);
    await this.#service.connect?.(request, link);
    return {
      maxPacketBytes: 8192,
      logFields: { subject: request.clientId },
      grants: this.#service.grants ?? ((filter) => !filter.startsWith('secret')),
      take: (messages) => this.#take(messages),
      end: async (how) => void this.ends.push(how),
    };
  }

  async #take(messages: readonly InboundMessage[]): Promise<Taken> {
    this.batches.push(messages.length);
    const taken = (await this.#service.take?.(messages)) ?? { taken: messages.length, replies: [] };
    for (const message of messages.slice(0, taken.taken)) this.messages.push(`${message.topic}:${message.payload.toString()}`);
    return taken;
  }
}

/** An engine with one binding of the test's own. */
export function startEngine(service: TestService = {}, limits: Partial<MqttLimits> = {}, budget: ByteBudget = unlimitedBytes) {
  const clock = new FakeClock();
  const log = new RecordingLog();
  const binding = new TestBinding(service);
  const door = createMqttEngine({
    budget,
    bindings: [binding],
    limits: { ...testLimits, ...limits },
    refusalCode,
    clock,
    ids: new FakeIds(),
    log,
  });
  return { door, clock, log, binding };
}
