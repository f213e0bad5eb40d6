import { jsonText, parseJson } from './columns.ts';
import type { PolicyColumns } from './schema.ts';

/** A shared access policy; both domains have the same shape. */
interface Policy {
  readonly keyName: string;
  readonly primaryKey: string;
  readonly secondaryKey: string;
  readonly rights: readonly string[];
}

export const policyColumns = ['key_name', 'primary_key', 'secondary_key', 'rights'] as const satisfies readonly (keyof PolicyColumns)[];

export function policyFrom(row: PolicyColumns): Policy {
  return {
    keyName: row.key_name,
    primaryKey: row.primary_key,
    secondaryKey: row.secondary_key,
    rights: parseJson(row.rights),
  };
}

export function policyColumnsOf(policy: Policy): PolicyColumns {
  return {
    key_name: policy.keyName,
    primary_key: policy.primaryKey,
    secondary_key: policy.secondaryKey,
    rights: jsonText(policy.rights),
  };
}
