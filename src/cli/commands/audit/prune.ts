import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { required } from '../../grammar/option.ts';
import { pastMoment } from '../fleet/moment.ts';

export const auditPrune = defineCommand({
  name: 'audit prune',
  summary: 'Remove old entries. The trail says so itself, and the rest can still be checked.',
  details:
    'Entries go by themselves after auditRetentionDays of the configuration, two years unless it says otherwise. Export them first, with muster audit export.',
  examples: [{ text: 'Keep the last ninety days.', command: 'audit prune --before 90d' }],
  options: { before: required(pastMoment(['--before'], 'Entries before then are removed.')) },
  run: async ({ before }, context) => await (await openMusterApi(context)).send({ method: 'POST', path: '/audit/prune', body: { before } }),
});
