/** What an operator's token is good for; each role may do what those before it may. */
export const operatorRoles = ['reader', 'operator', 'admin'] as const;
export type OperatorRole = (typeof operatorRoles)[number];

/** A token as it is shown; what it is known by is shown once, when it is made. */
export interface OperatorTokenDescription {
  readonly id: string;
  readonly name: string;
  readonly role: OperatorRole;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly expiresAt?: string;
  readonly revokedAt?: string;
  readonly state: 'active' | 'expired' | 'revoked';
}
