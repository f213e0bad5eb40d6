import type { OperatorRole } from '../contracts/operators.ts';
import type { Instant } from '../kernel/clock.ts';

/** An operator's token as stored: its secret part only as a digest. */
export interface OperatorTokenRow {
  readonly id: string;
  readonly name: string;
  readonly role: OperatorRole;
  /** Lower-case hex SHA-256. */
  readonly secretSha256: string;
  readonly createdBy: string;
  readonly createdAt: Instant;
  /** From this moment on it is good for nothing. */
  readonly expiresAt?: Instant;
  readonly revokedAt?: Instant;
}

export interface OperatorTokenStore {
  get(id: string): Promise<OperatorTokenRow | undefined>;
  /** Of this name, without case; oldest first. */
  named(name: string): Promise<readonly OperatorTokenRow[]>;
  /** By name, then by age. */
  list(): Promise<readonly OperatorTokenRow[]>;
  insert(row: OperatorTokenRow): Promise<void>;
  /** Sets when it was revoked, once; whether it was not revoked before. */
  revoke(id: string, at: Instant): Promise<boolean>;
}
