import { text } from '../../grammar/option.ts';
import { pastMoment } from '../fleet/moment.ts';

/** Which entries of the audit trail. */
export const auditFilter = {
  resource: text(['--resource', '-r'], 'Id of what was changed: a device, an enrollment, a policy, a block.', { positional: true }),
  kind: text(['--kind', '-k'], 'Kind of what was changed, as device, twin, enrollment, enrollment-group, block or dps-policy.'),
  scope: text(['--scope'], 'Provisioning service or hub that it belongs to.'),
  actor: text(['--actor', '-a'], 'Name of whoever changed it: an operator, a policy, a device, or system.'),
  action: text(['--action'], 'What was done, as device.delete or enrollment.update.'),
  since: pastMoment(['--since'], 'Entries from then on.'),
  until: pastMoment(['--until'], 'Entries before then.'),
} as const;

export type AuditFilterValues = Readonly<Record<keyof typeof auditFilter, string | undefined>>;

/** As query parameters of the API. */
export function auditQuery(values: AuditFilterValues, more: Readonly<Record<string, string | undefined>>): string {
  const { resource, kind, scope, actor, action, since, until } = values;
  const given = Object.entries({ resource, kind, scope, actor, action, since, until, ...more });
  return new URLSearchParams(
    Object.fromEntries(given.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))),
  ).toString();
}
