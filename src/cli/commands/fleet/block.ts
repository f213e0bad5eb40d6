import type { Json } from '../../../kernel/json.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { choiceList, list, required, text } from '../../grammar/option.ts';
import { readmitHeaders, readmitOption } from '../readmit.ts';
import { readDevice } from './device-argument.ts';
import { moment } from './moment.ts';

const blockId = required(text(['--block', '--id'], 'Id of the block.', { positional: true }));

export const blockCreate = defineCommand({
  name: 'block create',
  summary: 'Refuse whoever presents a key, a certificate or an id; nothing else is changed.',
  examples: [
    {
      text: 'Block a key, whatever certificate it comes with.',
      command: 'block create --certificate ./stolen.pem --by key --reason stolen',
    },
    { text: 'Block an id for a week.', command: 'block create --registration-id sensor-9 --reason audit --expires 7d' },
  ],
  options: {
    certificate: text(['--certificate', '--cp', '--certificate-path'], 'Certificate that the block takes its names from, PEM or DER.'),
    by: choiceList(['--by'], ['key', 'leaf', 'serial', 'subject'] as const, 'What it takes from the certificate. Default: key.'),
    registrationId: list(['--registration-id', '--rid'], 'Registration IDs.'),
    deviceId: list(['--device-id', '-d'], 'Device IDs.'),
    thumbprint: list(['--thumbprint', '--tp'], 'SHA-256 of certificates, in hex.'),
    publicKey: list(['--public-key'], 'SHA-256 of public keys (SubjectPublicKeyInfo), in hex.'),
    reason: required(text(['--reason', '-r'], 'Why.')),
    ticket: text(['--ticket'], 'Ticket or case that it belongs to.'),
    expires: moment(['--expires'], 'When the block ends by itself.'),
  },
  async run(values, context) {
    const certificate = await readDevice({ device: undefined, certificate: values.certificate });
    const named = (kind: string, given: readonly string[] | undefined) => (given ?? []).map((value) => ({ kind, value }));
    const selectors = [
      ...named('registrationId', values.registrationId),
      ...named('deviceId', values.deviceId),
      ...named('leaf', values.thumbprint),
      ...named('publicKey', values.publicKey),
    ];
    if (certificate === undefined && selectors.length === 0) throw usageError('Say what to block: a --certificate, an id or a thumbprint.');
    const body = {
      selectors,
      reason: values.reason,
      ...(certificate === undefined ? {} : { certificate }),
      ...(values.by === undefined ? {} : { by: values.by }),
      ...(values.ticket === undefined ? {} : { ticket: values.ticket }),
      ...(values.expires === undefined ? {} : { expiresAt: values.expires }),
    };
    return await (await openMusterApi(context)).send({ method: 'POST', path: '/blocks', body });
  },
});

export const blockList = defineCommand({
  name: 'block list',
  summary: 'List the blocks, expired ones included.',
  examples: [
    { text: 'List them with their reasons.', command: 'block list -o table --query "[].{block:id, reason:reason, ticket:ticket}"' },
  ],
  options: {},
  async run(_values, context) {
    const api = await openMusterApi(context);
    const blocks: Json[] = [];
    let after = '';
    do {
      const page = await api.send({ method: 'GET', path: `/blocks?top=1000${after}` });
      const { items, next } = page as { readonly items: readonly Json[]; readonly next?: string };
      blocks.push(...items);
      after = next === undefined ? '' : `&after=${encodeURIComponent(next)}`;
    } while (after !== '');
    return blocks;
  },
});

export const blockShow = defineCommand({
  name: 'block show',
  summary: 'Show a block.',
  examples: [{ text: 'Show a block.', command: 'block show block-0mi3x9k2a-1f2e3d4c' }],
  options: { block: blockId },
  run: async ({ block }, context) =>
    await (await openMusterApi(context)).send({ method: 'GET', path: `/blocks/${encodeURIComponent(block)}` }),
});

export const blockDelete = defineCommand({
  name: 'block delete',
  summary: 'Lift a block. What else a deprovisioning did is undone by reinstate.',
  examples: [
    { text: 'Lift a block that shuts nobody out.', command: 'block delete block-0mi3x9k2a-1f2e3d4c' },
    { text: 'Lift one although its device comes back.', command: 'block delete block-0mi3x9k2a-1f2e3d4c --readmit' },
  ],
  options: { block: blockId, readmit: readmitOption },
  async run({ block, readmit }, context) {
    const headers = readmitHeaders(readmit);
    await (await openMusterApi(context)).send({ method: 'DELETE', path: `/blocks/${encodeURIComponent(block)}`, headers });
    return undefined;
  },
});
