import { open } from 'node:fs/promises';

import { openMusterApi } from '../../client/muster-api.ts';
import { codeOf } from '../../client/system-error.ts';
import { exitCodes, failure } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { text } from '../../grammar/option.ts';
import { auditFilter, auditQuery } from './filter.ts';

const entriesPerRequest = 1000;

export const auditExport = defineLiveCommand({
  name: 'audit export',
  summary: 'Write changes as JSON lines, the oldest first.',
  details:
    'Each line is one entry as it is hashed: its hash is the SHA-256 of the line without it, in the canonical form of RFC 8785. So anybody can check an export without filters, and muster audit verify --file does.',
  examples: [
    { text: 'Export the whole trail.', command: 'audit export --file trail.jsonl' },
    { text: 'Export what happened to a device, to standard output.', command: 'audit export sensor-thl-002' },
  ],
  options: { ...auditFilter, file: text(['--file', '-f'], 'File to write, which must not be there yet. Default: standard output.') },
  async run({ file, ...values }, context) {
    const api = await openMusterApi(context);
    const target = file === undefined ? undefined : await create(file);
    let entries = 0;
    try {
      let after: string | undefined;
      do {
        const query = auditQuery(values, { order: 'oldest-first', top: String(entriesPerRequest), after });
        const page = await api.send({ method: 'GET', path: `/audit?${query}` });
        const { items, next } = page as { readonly items: readonly object[]; readonly next?: string };
        const lines = items.map((item) => JSON.stringify(item));
        if (target !== undefined) await target.write(lines.map((line) => `${line}\n`).join(''));
        else lines.forEach((line) => context.print(line));
        entries += items.length;
        after = next;
      } while (after !== undefined);
      await target?.sync();
    } finally {
      await target?.close();
    }
    context.notice(`${entries} entries${file === undefined ? '' : ` are in ${file}`}.`);
    return exitCodes.ok;
  },
});

async function create(file: string) {
  try {
    return await open(file, 'wx', 0o600);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw failure(`${file} is there already. Name another file.`);
    throw failure(`${file} cannot be written: ${error instanceof Error ? error.message : String(error)}.`);
  }
}
