import { operatorRoles } from '../../../contracts/operators.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import { defineCommand } from '../../grammar/command.ts';
import { choice, required, text } from '../../grammar/option.ts';
import { moment } from '../fleet/moment.ts';

export const tokenCreate = defineCommand({
  name: 'token create',
  summary: 'Make a token for an operator. It is shown once.',
  details:
    "A reader sees everything but keys: devices, decisions, refusals, the audit trail. An operator also deprovisions, reinstates and blocks. An admin does everything, policies and tokens included. Whoever has the data folder is an admin without a token. Give it as bearer token to Muster's own API, or to muster itself in MUSTER_TOKEN.",
  examples: [
    { text: 'A token for somebody who looks at refusals.', command: 'token create "Ada Lovelace" --role reader' },
    { text: 'One for a script, that ends by itself.', command: 'token create nightly --role operator --expires 90d --query token -o tsv' },
  ],
  options: {
    name: required(text(['--name', '-n'], 'Whose token it is; the audit trail calls its owner so.', { positional: true })),
    role: required(choice(['--role'], operatorRoles, 'What it is good for.')),
    expires: moment(['--expires'], 'When it ends by itself. Default: never.'),
  },
  async run({ name, role, expires }, context) {
    const body = { name, role, ...(expires === undefined ? {} : { expiresAt: expires }) };
    const made = await (await openMusterApi(context)).send({ method: 'POST', path: '/tokens', body });
    context.notice('Keep the token now: it is stored as a digest, and cannot be shown again.');
    return made;
  },
});

export const tokenList = defineCommand({
  name: 'token list',
  summary: "List operators' tokens, those that ended included.",
  examples: [{ text: 'List them as a table.', command: 'token list -o table' }],
  options: {},
  run: async (_values, context) => await (await openMusterApi(context)).send({ method: 'GET', path: '/tokens' }),
});

export const tokenRevoke = defineCommand({
  name: 'token revoke',
  summary: 'Revoke a token. It is refused from the next request on.',
  examples: [{ text: "Revoke somebody's token.", command: 'token revoke "Ada Lovelace"' }],
  options: { name: required(text(['--name', '-n', '--id'], 'Name of its owner, or id of the token.', { positional: true })) },
  run: async ({ name }, context) =>
    await (await openMusterApi(context)).send({ method: 'DELETE', path: `/tokens/${encodeURIComponent(name)}` }),
});
