import { rhea, type Typed } from './rhea.ts';

/** What a detach, a close or a rejected delivery says. */
export interface AmqpError {
  /** A symbol of AMQP 1.0 part 2.8.15 and on, or one of the service's own. */
  readonly condition: string;
  readonly description: string;
  readonly info?: Readonly<Record<string, Typed | string>>;
}

/**
 * Error fields in the form that rhea's composite types take over as they are. Its own way writes the keys of `info`
 * as strings, and clients look them up as symbols (part 2.8.14, `fields`).
 */
export function errorFields({ condition, description, info }: AmqpError): { readonly value: readonly Typed[] } {
  const value = [rhea.types.wrap_symbol(condition), rhea.types.wrap_string(description)];
  return { value: info === undefined ? value : [...value, rhea.types.wrap_symbolic_map(info)] };
}
