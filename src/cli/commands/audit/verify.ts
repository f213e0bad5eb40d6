import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

import { chainStart, checkChain } from '../../../audit/chain.ts';
import type { AuditEntry, AuditHead, AuditVerdict } from '../../../contracts/audit/audit-entry.ts';
import type { Json } from '../../../kernel/json.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import type { CommandContext } from '../../context.ts';
import { exitCodes, failure, usageError } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { text } from '../../grammar/option.ts';
import { createPage } from '../../output/page.ts';

export const auditVerify = defineLiveCommand({
  name: 'audit verify',
  summary: 'Check that the audit trail is as it was written, and say which entry is the first that is not.',
  details:
    'Every entry holds the hash of the one before. The end of the trail is noted and sealed with a key of the data folder, so that cutting it off shows, too. Ends with 1 when something is wrong.',
  examples: [
    { text: 'Check the trail of the running service.', command: 'audit verify' },
    { text: 'And that it still leads to an end that was noted last year.', command: 'audit verify --head 5d1e0b6f...' },
    { text: 'Check an export, without a service.', command: 'audit verify --file trail.jsonl' },
  ],
  options: {
    head: text(['--head'], "Hash of an end that was noted earlier, by 'muster audit head'."),
    file: text(['--file', '-f'], 'An export without filters to check, instead of the running service.'),
  },
  async run({ head, file }, context) {
    if (head !== undefined && !/^[0-9a-f]{64}$/iu.test(head)) throw usageError('argument --head: must be 64 hexadecimal digits.');
    const verdict = file === undefined ? await askService(head, context) : await checkFile(file, head);
    if (context.isForProgram) context.show(verdict as unknown as Json);
    else tell(verdict, { head, file }, context);
    return verdict.ok ? exitCodes.ok : exitCodes.failure;
  },
});

async function askService(head: string | undefined, context: CommandContext): Promise<AuditVerdict> {
  const api = await openMusterApi(context);
  return (await api.send({ method: 'GET', path: `/audit/verify${head === undefined ? '' : `?head=${head}`}` })) as unknown as AuditVerdict;
}

/** The first entry of an export says where its chain begins: at the start, or behind what retention had removed. */
async function checkFile(file: string, head: string | undefined): Promise<AuditVerdict> {
  let chain: ReturnType<typeof checkChain> | undefined;
  let checked = 0;
  let isMet = head === undefined;
  for await (const entry of entriesOf(file)) {
    chain ??= checkChain(entry.sequence === 1 ? chainStart : { sequence: entry.sequence - 1, hash: entry.previousHash });
    const flaw = chain.next(entry);
    if (flaw !== undefined) return { ok: false, checked, ...flaw };
    checked += 1;
    isMet ||= entry.hash === head?.toLowerCase();
  }
  const end: AuditHead = chain?.at ?? chainStart;
  if (isMet) return { ok: true, checked, head: end, sealed: false };
  const sentence = `No entry up to ${end.sequence} has the hash ${head ?? ''}.`;
  return { ok: false, checked, sequence: end.sequence, reason: 'exported-head', sentence };
}

async function* entriesOf(file: string): AsyncGenerator<AuditEntry> {
  const stream = createReadStream(file, 'utf8');
  let line = 0;
  try {
    for await (const content of createInterface({ input: stream, crlfDelay: Infinity })) {
      line += 1;
      if (content.trim() !== '') yield parseEntry(content, `line ${line} of ${file}`);
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error) throw failure(`${file} cannot be read: ${error.message}.`);
    throw error;
  }
}

function parseEntry(content: string, where: string): AuditEntry {
  try {
    const entry = JSON.parse(content) as Partial<AuditEntry> | null;
    if (typeof entry?.sequence === 'number' && typeof entry.hash === 'string' && typeof entry.previousHash === 'string')
      return entry as AuditEntry;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw failure(`${where} is no entry of an audit trail.`);
}

function tell(
  verdict: AuditVerdict,
  asked: { readonly head: string | undefined; readonly file: string | undefined },
  context: CommandContext,
): void {
  const page = createPage(context.print, context.environment);
  if (!verdict.ok) {
    page.title('The audit trail is not as it was written', `entry ${verdict.sequence}`);
    page.item('bad', verdict.sentence);
    page.item('plain', `${verdict.checked} entries before it are as they were written.`);
    return;
  }
  page.title('The audit trail is as it was written', `${verdict.checked} entries`);
  page.fact('ends', `with entry ${verdict.head.sequence}, of hash`);
  // Whole, so that it can be copied.
  page.line(`   ${verdict.head.hash}`);
  if (verdict.prunedThrough !== undefined)
    page.fact('begins', `after entry ${verdict.prunedThrough.sequence}: retention removed what was before, and says so`);
  if (asked.head !== undefined) page.item('good', 'It leads to the end that was noted.');
  if (verdict.sealed) page.item('good', 'Its end carries the seal of this installation.');
  if (asked.file === undefined && asked.head === undefined) {
    page.item('plain', "An end that is kept elsewhere shows that nobody put an older trail back: 'muster audit head'.");
  }
}
