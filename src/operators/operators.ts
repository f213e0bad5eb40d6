import type { Cause } from '../audit/actor.ts';
import type { ChangeRecorder } from '../audit/change.ts';
import { createRefusedSignIns } from '../audit/refused-sign-ins.ts';
import { type OperatorRole, operatorRoles, type OperatorTokenDescription } from '../contracts/operators.ts';
import type { Clock, Instant } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { createFailedAttempts } from './failed-attempts.ts';
import type { OperatorTokenRow, OperatorTokenStore } from './ports.ts';
import { digestOf, isDigestOf, makeToken, parseToken } from './token-text.ts';

/** Somebody who has shown a token that is good. */
export interface Operator {
  readonly name: string;
  readonly role: OperatorRole;
}

export interface OperatorStorage {
  readonly read: { readonly tokens: OperatorTokenStore };
  write<T>(
    work: (transaction: { readonly tokens: OperatorTokenStore; readonly changes: ChangeRecorder }) => Promise<T>,
    cause?: Cause,
  ): Promise<T>;
}

/** Who may use Muster's own API, and as what. */
export interface Operators {
  /**
   * Throws `IotHubUnauthorized` for a token that is missing, unknown, expired or revoked, and `Throttled` for an address that
   * has been wrong too often, whatever it brings now.
   */
  authenticate(presented: { readonly token?: string; readonly address: string }): Promise<Operator>;
  /** The token itself is in this answer and nowhere else. Throws `ResourceExists` or `ArgumentInvalid`. */
  create(
    wanted: { readonly name: string; readonly role: OperatorRole; readonly expiresAt?: Instant },
    cause: Cause,
  ): Promise<OperatorTokenDescription & { readonly token: string }>;
  list(): Promise<readonly OperatorTokenDescription[]>;
  /** By id, or by the name of the one that is active. Throws `ResourceNotFound`. */
  revoke(idOrName: string, cause: Cause): Promise<OperatorTokenDescription>;
}

/** The name under which the token of the data folder is known. */
export const ownerName = 'owner of the data folder';

const namePattern = /^[\p{L}\p{N}][\p{L}\p{N} ._@-]{0,63}$/u;

export interface OperatorDeps {
  readonly storage: OperatorStorage;
  /** The secret of the data folder, which is good for everything. */
  readonly ownerToken: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
}

export function createOperators(deps: OperatorDeps): Operators {
  const { storage, clock, ids } = deps;
  const { tokens } = storage.read;
  return {
    authenticate: createAuthenticate(deps),

    async create({ name, role, expiresAt }, cause) {
      if (!namePattern.test(name) || name === ownerName) {
        throw new ServiceError(
          'ArgumentInvalid',
          'The name of a token takes 1 to 64 letters, digits, blanks and . _ @ -, a letter or digit first.',
        );
      }
      const createdAt = clock.now();
      if (expiresAt !== undefined && expiresAt <= createdAt)
        throw new ServiceError('ArgumentInvalid', 'The token would have ended already.');
      const { id, secret, text } = makeToken(ids);
      const ending = expiresAt === undefined ? {} : { expiresAt };
      const row = { id, name, role, secretSha256: digestOf(secret), createdBy: cause.by.name, createdAt, ...ending };
      await storage.write(async (transaction) => {
        const taken = (await transaction.tokens.named(name)).some((other) => stateOf(other, createdAt) === 'active');
        if (taken) throw new ServiceError('ResourceExists', `There is an active token of ${name} already. Revoke it first.`);
        await transaction.tokens.insert(row);
      }, cause);
      return { ...describe(row, createdAt), token: text };
    },

    async list() {
      const now = clock.now();
      return (await tokens.list()).map((row) => describe(row, now));
    },

    async revoke(idOrName, cause) {
      const now = clock.now();
      const row = (await tokens.get(idOrName)) ?? (await tokens.named(idOrName)).find((other) => stateOf(other, now) === 'active');
      if (row === undefined) throw new ServiceError('ResourceNotFound', `There is no active token '${idOrName.slice(0, 100)}'.`);
      await storage.write((transaction) => transaction.tokens.revoke(row.id, now), cause);
      return describe({ ...row, revokedAt: row.revokedAt ?? now }, now);
    },
  };
}

/** Whether a role may do what another one is asked for. */
export function isEnough(role: OperatorRole, wanted: OperatorRole): boolean {
  return operatorRoles.indexOf(role) >= operatorRoles.indexOf(wanted);
}

function createAuthenticate({ storage, ownerToken, clock, log }: OperatorDeps): Operators['authenticate'] {
  const attempts = createFailedAttempts({ clock });
  const refusedSignIns = createRefusedSignIns({ storage, clock });
  const ownerDigest = digestOf(ownerToken);

  async function find(token: string): Promise<Operator | 'unknown' | 'expired' | 'revoked'> {
    if (isDigestOf(token, ownerDigest)) return { name: ownerName, role: 'admin' };
    const parts = parseToken(token);
    const row = parts && (await storage.read.tokens.get(parts.id));
    // An id that is not there takes the comparison, too.
    const isRight = isDigestOf(parts?.secret ?? token, row?.secretSha256 ?? ownerDigest);
    if (row === undefined || !isRight) return 'unknown';
    const state = stateOf(row, clock.now());
    return state === 'active' ? { name: row.name, role: row.role } : state;
  }

  async function refuse(address: string, reason: string): Promise<never> {
    const failures = attempts.failed(address);
    log.warn('operator.refused', { address, reason, failures });
    await refusedSignIns.note({ at: { id: 'muster-api' }, transport: 'https', address, reason, failures });
    throw unauthorized(reason);
  }

  return async ({ token, address }) => {
    const wait = attempts.waitSeconds(address);
    if (wait > 0) {
      const sentence = 'Too many wrong tokens came from this address. Wait as long as Retry-After says.';
      throw new ServiceError('Throttled', sentence, { retryAfterSeconds: wait });
    }
    // Whoever brings none does not guess.
    if (token === undefined) throw unauthorized('missing');
    const found = await find(token);
    return typeof found === 'string' ? await refuse(address, found) : found;
  };
}

function unauthorized(detail: string): ServiceError {
  const sentence = 'This API needs the token of the data folder, or one of an operator, as a bearer token.';
  return new ServiceError('IotHubUnauthorized', sentence, { detail });
}

function stateOf({ expiresAt, revokedAt }: OperatorTokenRow, now: Instant): OperatorTokenDescription['state'] {
  if (revokedAt !== undefined) return 'revoked';
  return expiresAt !== undefined && expiresAt <= now ? 'expired' : 'active';
}

function describe(row: OperatorTokenRow, now: Instant): OperatorTokenDescription {
  const { id, name, role, createdBy, createdAt, expiresAt, revokedAt } = row;
  return {
    id,
    name,
    role,
    createdBy,
    createdAt: new Date(createdAt).toISOString(),
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() }),
    ...(revokedAt === undefined ? {} : { revokedAt: new Date(revokedAt).toISOString() }),
    state: stateOf(row, now),
  };
}
