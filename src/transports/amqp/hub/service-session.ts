import type { CutReason, Endable } from '../../../hub/ports.ts';
import type { AmqpConnection, AmqpLink } from '../engine/binding.ts';
import type { AmqpErrors } from '../errors.ts';
import { cutError } from './cut-reason.ts';

export interface ServiceSessionDeps {
  readonly connection: AmqpConnection;
  readonly errors: AmqpErrors;
  /** Puts the session onto the bus by what the connection has shown by now. Throws as `authorize`. */
  readonly join: (session: Endable) => Promise<() => void>;
  /** Whether the connection carries no device. */
  readonly isAlone: () => boolean;
}

/** What a service has open at one hub over one connection: its links, which end together with what let them in. */
export class ServiceSession implements Endable {
  readonly peer: AmqpConnection['peer'];
  readonly #deps: ServiceSessionDeps;
  readonly #links = new Set<AmqpLink>();
  #leave: (() => void) | undefined;

  constructor(deps: ServiceSessionDeps) {
    this.peer = deps.connection.peer;
    this.#deps = deps;
  }

  get isEmpty(): boolean {
    return this.#links.size === 0;
  }

  /** A link was let in. Throws when the session may not be open any more. */
  async add(link: AmqpLink): Promise<void> {
    this.#links.add(link);
    if (this.#leave !== undefined) return;
    try {
      await this.renew();
    } catch (thrown) {
      this.#links.delete(link);
      throw thrown;
    }
  }

  /** Goes on by what the connection has shown since. Throws as `join`; then what was shown before counts. */
  async renew(): Promise<void> {
    const leave = await this.#deps.join(this);
    this.#leave?.();
    this.#leave = leave;
    if (this.isEmpty) this.#end();
  }

  remove(link: AmqpLink): void {
    this.#links.delete(link);
    if (this.isEmpty) this.#end();
  }

  async cut(reason: CutReason): Promise<void> {
    const { connection, errors, isAlone } = this.#deps;
    const error = errors.render(cutError(reason));
    if (isAlone()) return await connection.cut(error);
    for (const link of this.#links) link.detach(error);
    await connection.flush();
  }

  #end(): void {
    this.#leave?.();
    this.#leave = undefined;
  }
}
