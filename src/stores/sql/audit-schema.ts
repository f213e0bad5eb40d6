import type { OperatorRole } from '../../contracts/operators.ts';
import type { RefusalSide } from '../../contracts/fleet/refusal.ts';
import type { TransportName } from '../../contracts/transport.ts';
import type { Instant } from '../../kernel/clock.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { JsonText } from './schema.ts';

/** What operators are answerable for, and what they are told. */
export interface AuditTables {
  readonly audit_entry: AuditEntryTable;
  readonly audit_head: AuditHeadTable;
  readonly audit_checkpoint: AuditCheckpointTable;
  readonly operator_token: OperatorTokenTable;
  readonly refusal: RefusalTable;
  readonly refusal_counter: RefusalCounterTable;
}

export interface AuditEntryTable {
  sequence: number;
  at: Instant;
  actor_kind: string;
  actor_key: string;
  actor_name: string;
  transport: string | null;
  address: string | null;
  user_agent: string | null;
  action: string;
  resource_kind: string;
  resource_key: string;
  resource_id: string;
  scope_key: string | null;
  scope: string | null;
  before: JsonText<JsonObject> | null;
  after: JsonText<JsonObject> | null;
  reason: string | null;
  ticket: string | null;
  previous_hash: string;
  hash: string;
}

/** One row: the end of the audit trail, written with every entry. */
export interface AuditHeadTable {
  id: number;
  sequence: number;
  hash: string;
  seal: string | null;
}

/** One row at most: the last entry that retention removed. */
export interface AuditCheckpointTable {
  id: number;
  sequence: number;
  hash: string;
}

/** A token is kept as the SHA-256 of its secret part, which is random and long enough for that. */
export interface OperatorTokenTable {
  token_id: string;
  name_key: string;
  name: string;
  role: OperatorRole;
  secret_sha256: string;
  created_by: string;
  created_at: Instant;
  expires_at: Instant | null;
  revoked_at: Instant | null;
}

export interface RefusalTable {
  sequence: number;
  at: Instant;
  side: RefusalSide;
  place: string;
  device_key: string;
  device_id: string;
  transport: TransportName;
  address: string;
  tracking_id: string;
  error: string;
  reason: string;
  sentence: string;
}

/** One row: the last sequence number that was given to a refusal. */
export interface RefusalCounterTable {
  id: number;
  last_sequence: number;
}
