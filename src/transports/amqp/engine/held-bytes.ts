import type { ByteAccount, ByteBudget } from '../../../kernel/byte-budget.ts';
import { PeerFault } from './frame-guards.ts';

/** Everything that one connection holds in memory for its peer, as the budget of all connections is told of it. */
export class HeldBytes {
  readonly #limit: number;
  readonly #elsewhere: () => number;
  readonly #account: ByteAccount;
  #handled = 0;
  #unfinished = 0;
  #waiting = 0;

  /** `limit` is for deliveries being handled and, apart, for those that have begun; `elsewhere` is what reader and socket hold. */
  constructor(budget: ByteBudget, limit: number, elsewhere: () => number) {
    this.#account = budget.open();
    this.#limit = limit;
    this.#elsewhere = elsewhere;
  }

  /** Whether so much is being handled that nothing more should be read. */
  get isFull(): boolean {
    return this.#handled > this.#limit;
  }

  /** Deliveries being handled, up and down. */
  handle(bytes: number): void {
    this.#handled += bytes;
    this.recount();
  }

  /** Deliveries that have begun and not ended, up and down. Throws `PeerFault` when there is too much of them. */
  begin(bytes: number): void {
    this.#unfinished += bytes;
    this.recount();
    if (bytes > 0 && this.#unfinished > this.#limit) {
      throw new PeerFault('amqp:resource-limit-exceeded', 'Too much has begun to arrive on this connection and not ended.');
    }
  }

  /** Messages that wait for the credit of the peer, up and down. */
  wait(bytes: number): void {
    this.#waiting += bytes;
    this.recount();
  }

  recount(): void {
    this.#account.set(this.#handled + this.#unfinished + this.#waiting + this.#elsewhere());
  }

  close(): void {
    this.#account.close();
  }
}
