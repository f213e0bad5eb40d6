import type { Door, Findings, Receipt } from '../../../contracts/fleet/receipt.ts';
import { transportNames } from '../../../contracts/transport.ts';
import type { Mark, Page } from '../../output/page.ts';

/** A receipt as a page for people. */
export function showReceipt(receipt: Receipt, page: Page): void {
  page.title(headline(receipt), receipt.id ?? 'dry run, nothing is written');
  if (receipt.reason !== undefined)
    page.fact('reason', receipt.ticket === undefined ? receipt.reason : `${receipt.reason}, ticket ${receipt.ticket}`);
  page.fact('by', `${receipt.by}, ${receipt.at}`);
  if (receipt.undoneBy !== undefined) page.fact('undone by', receipt.undoneBy);
  page.heading('Found');
  showFindings(receipt.found, page);
  page.heading(receipt.dryRun === true ? 'Would do' : 'Done');
  for (const [at, { sentence }] of receipt.steps.entries()) page.item(at + 1, sentence);
  showTime(receipt, page);
  if (receipt.proof !== undefined) showProof(receipt, page);
  page.heading('Undo');
  page.item('plain', receipt.undo.sentence);
  if (receipt.undo.command !== undefined && receipt.dryRun !== true) page.line(`     ${page.colours.cyan(receipt.undo.command)}`);
}

function headline({ device, kind, dryRun, alreadyDone, steps }: Receipt): string {
  const once = steps.some(({ what }) => what === 'block-opened-once');
  if (once) return `${device} ${dryRun === true ? 'could' : 'may'} register once`;
  if (alreadyDone === true) return `${device} is out already; nothing was left to do`;
  const done = { revoke: 'is out', retire: 'is retired', reinstate: 'is let in again' } as const;
  const planned = { revoke: 'would be put out', retire: 'would be retired', reinstate: 'would be let in again' } as const;
  return `${device} ${(dryRun === true ? planned : done)[kind]}`;
}

export function showFindings({ certificate, enrollments, records, identities }: Findings, page: Page): void {
  if (certificate !== undefined) {
    page.fact('certificate', `${certificate.subject}, until ${certificate.notAfter.slice(0, 10)} (${certificate.source})`);
    page.fact('', `SHA-256 ${certificate.sha256.slice(0, 16)}…, serial number ${certificate.serialNumber}`);
    page.fact('', `issued by ${certificate.issuer}`);
  }
  for (const entry of enrollments) {
    const kind = entry.kind === 'group' ? 'group' : 'individual';
    page.fact('enrollment', `${kind} ${entry.id} at ${entry.instance}, ${entry.provisioningStatus}`);
  }
  for (const record of records) {
    const home = record.assignedHub === undefined ? '' : `, ${record.deviceId ?? ''} on ${record.assignedHub}`;
    page.fact('record', `${record.registrationId} at ${record.instance}: ${record.status}${home}`);
  }
  for (const identity of identities) {
    page.fact(
      'identity',
      `${identity.deviceId} at ${identity.hub}: ${identity.status}, ${identity.connected ? 'connected' : 'not connected'}`,
    );
  }
  if (certificate === undefined && enrollments.length + records.length + identities.length === 0)
    page.item('plain', 'Nothing was known of it.');
}

function showTime({ timeToRevoke }: Receipt, page: Page): void {
  if (timeToRevoke === undefined) return;
  page.heading('Time to revoke, from the commit to the last socket closed');
  if (timeToRevoke.sessions === 0) page.item('plain', 'It held no session.');
  for (const { transport, sessions, milliseconds } of timeToRevoke.perTransport) {
    page.fact(transport, `${milliseconds} ms, ${sessions} ${sessions === 1 ? 'session' : 'sessions'}`);
  }
}

function showProof({ kind, proof = [] }: Receipt, page: Page): void {
  for (const evaluated of ['decision', 'wire'] as const) {
    const doors = proof.filter((door) => door.evaluated === evaluated);
    if (doors.length === 0) continue;
    const what = kind === 'reinstate' ? 'Doors' : 'Proof of refusal';
    page.heading(evaluated === 'decision' ? `${what}, by the decision itself` : `${what}, tried over the wire with its key`);
    for (const group of grouped(doors)) showDoor(group, kind === 'reinstate' ? 'let-in' : 'refused', page);
  }
}

/** The transports of a door share their verdict nearly always. */
function grouped(doors: readonly Door[]): readonly (readonly Door[])[] {
  const groups = new Map<string, Door[]>();
  for (const door of doors) {
    const says = door.evaluated === 'wire' ? door.says : '';
    const key = [door.side, door.name, door.credential, door.verdict, says].join('\n');
    groups.set(key, [...(groups.get(key) ?? []), door]);
  }
  return [...groups.values()];
}

const verdictWords = { refused: 'refused', 'let-in': 'let in', unknown: 'cannot be told' } as const;

function showDoor(doors: readonly Door[], wanted: Door['verdict'], page: Page): void {
  const [door] = doors;
  if (door === undefined) return;
  const mark: Mark = door.verdict === wanted ? 'good' : door.verdict === 'unknown' ? 'unknown' : 'bad';
  const over = doors.length === transportNames.length ? 'every transport' : doors.map(({ transport }) => transport).join(', ');
  page.item(mark, `${door.name}, ${door.credential}: ${verdictWords[door.verdict]} over ${over}`);
  if (door.evaluated === 'wire') page.line(`       ${page.colours.dim(door.says.slice(0, 72))}`);
}
