import type { Logger } from '../../../kernel/logger.ts';
import type { SaslMechanism } from './rhea.ts';

/** User and password of SASL PLAIN, as sent: nothing has been judged. */
export interface PlainCredentials {
  readonly user: string;
  readonly password: string;
}

/** A conversation in a mechanism that a binding brings. */
export interface SaslExchange {
  /** Takes what the peer sent and returns the next challenge, or the outcome. What it throws is a failure of ours. */
  next(response: Buffer): Promise<Buffer | boolean>;
}

/**
 * The mechanisms that device and service SDKs choose from (hub chapter 4.1, DPS chapter 1.6.1). None of them proves
 * anything here: what was presented is judged where it is used. ANONYMOUS has to be among them, or rhea makes SASL mandatory.
 */
export function createSaslMechanisms(deps: {
  readonly hasCertificate: boolean;
  readonly onPlain: (credentials: PlainCredentials) => void;
  /** By the name of their mechanism. */
  readonly exchanges?: Readonly<Record<string, () => SaslExchange>>;
  readonly log: Logger;
}): Record<string, () => SaslMechanism> {
  const mechanisms: Record<string, () => SaslMechanism> = {
    EXTERNAL: () => withOutcome(() => deps.hasCertificate),
    MSSBCBS: () => withOutcome(() => true),
    PLAIN: () =>
      withOutcome((response) => {
        const credentials = parsePlain(response);
        if (credentials !== undefined) deps.onPlain(credentials);
        return credentials !== undefined;
      }),
    ANONYMOUS: () => withOutcome(() => true),
  };
  for (const [name, begin] of Object.entries(deps.exchanges ?? {})) mechanisms[name] = () => conversing(begin(), deps.log);
  // Without a prototype: the peer names the mechanism, and `toString` is not one.
  return Object.assign(Object.create(null) as Record<string, () => SaslMechanism>, mechanisms);
}

function withOutcome(decide: (initialResponse: Buffer | undefined) => boolean): SaslMechanism {
  return {
    outcome: undefined,
    start(initialResponse) {
      this.outcome = decide(Buffer.isBuffer(initialResponse) ? initialResponse : undefined);
    },
  };
}

/** One answer at a time: a peer that does not wait for its challenge has failed. */
function conversing(exchange: SaslExchange, log: Logger): SaslMechanism {
  let busy = false;
  const step = async (mechanism: SaslMechanism, response: unknown): Promise<Buffer | undefined> => {
    if (busy || !Buffer.isBuffer(response)) {
      mechanism.outcome = false;
      return undefined;
    }
    busy = true;
    const next = await exchange.next(response).catch((error: unknown) => {
      log.error('amqp.sasl-failure', { error });
      return false;
    });
    busy = false;
    if (Buffer.isBuffer(next)) return mechanism.outcome === false ? undefined : next;
    mechanism.outcome ??= next;
    return undefined;
  };
  return {
    outcome: undefined,
    start(initialResponse) {
      return step(this, initialResponse);
    },
    step(response) {
      return step(this, response);
    },
  };
}

/** RFC 4616: authorization identity, NUL, user, NUL, password. A token is a password with spaces, `&` and `=`. */
function parsePlain(response: Buffer | undefined): PlainCredentials | undefined {
  const fields = response?.toString('utf8').split('\0') ?? [];
  const [, user, password] = fields;
  if (fields.length !== 3 || user === undefined || user === '' || password === undefined) return undefined;
  return { user, password };
}
