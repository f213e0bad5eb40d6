import type { SaslMechanism } from './rhea.ts';

/** User and password of SASL PLAIN, as sent: nothing has been judged. */
export interface PlainCredentials {
  readonly user: string;
  readonly password: string;
}

/**
 * The mechanisms that device and service SDKs choose from (hub chapter 4.1, DPS chapter 1.6.1). None of them proves
 * anything here: what was presented is judged where it is used. ANONYMOUS has to be among them, or rhea makes SASL mandatory.
 */
export function createSaslMechanisms(deps: {
  readonly hasCertificate: boolean;
  readonly onPlain: (credentials: PlainCredentials) => void;
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

/** RFC 4616: authorization identity, NUL, user, NUL, password. A token is a password with spaces, `&` and `=`. */
function parsePlain(response: Buffer | undefined): PlainCredentials | undefined {
  const fields = response?.toString('utf8').split('\0') ?? [];
  const [, user, password] = fields;
  if (fields.length !== 3 || user === undefined || user === '' || password === undefined) return undefined;
  return { user, password };
}
