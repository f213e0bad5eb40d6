import type { Flip, Forecast, Outlook, WhatIfSummary } from '../../../contracts/fleet/what-if.ts';
import { assertNever } from '../../../kernel/assert-never.ts';
import type { Mark, Page } from '../../output/page.ts';

/** Of each kind; whoever wants them all asks as a program does. */
const shownDevices = 50;

const groups: readonly { readonly flip: Flip; readonly words: string; readonly mark: Mark }[] = [
  { flip: 'shut-out', words: 'would be shut out', mark: 'bad' },
  { flip: 'let-in', words: 'would be let in', mark: 'good' },
  { flip: 'moves', words: 'would go to another hub', mark: 'plain' },
  { flip: 'unknown', words: 'cannot be foretold', mark: 'unknown' },
  { flip: 'differs', words: 'would get the same for another reason', mark: 'plain' },
  { flip: 'stays', words: 'stay as they are', mark: 'plain' },
];

/** What a change would come to, as a page for people. */
export function showForecasts(summary: WhatIfSummary, devices: readonly Forecast[], page: Page): void {
  page.title(`What if: ${summary.change}`, 'nothing is changed');
  for (const { flip, words } of groups) page.fact(String(summary.counts[flip]), words);
  for (const { flip, words, mark } of groups) {
    const some = devices.filter((device) => device.flip === flip);
    if (some.length === 0) continue;
    page.heading(`${words[0]?.toUpperCase() ?? ''}${words.slice(1)}`);
    for (const device of some.slice(0, shownDevices)) page.item(mark, `${device.device}: ${sentenceOf(device)}`);
    if (some.length > shownDevices) page.item('plain', `and ${some.length - shownDevices} more; -o json shows all of them.`);
  }
  if (summary.notes.length === 0) return;
  page.heading('Mind');
  for (const note of summary.notes) page.item('plain', note);
}

function sentenceOf({ registration, connection }: Forecast): string {
  const ways = [
    ...(registration === undefined ? [] : [wayOf('', registration)]),
    ...(connection === undefined ? [] : [wayOf('at its hub: ', connection)]),
  ];
  return `${ways.join('; ')}.`;
}

function wayOf(where: string, { before, after }: NonNullable<Forecast['registration']>): string {
  const [was, becomes] = [wordsOf(before), wordsOf(after)];
  return was === becomes ? `${where}${was}, as before` : `${where}${was}, then ${becomes}`;
}

function wordsOf(outlook: Outlook): string {
  const { kind, hub = '', entry, block, errorCode, why } = outlook;
  const by = entry === undefined ? '' : ` by ${entry.kind === 'group' ? 'group' : 'enrollment'} ${entry.id}`;
  switch (kind) {
    case 'assigned':
      return `assigned to ${hub}${by}`;
    case 'webhook':
      return `let in${by}, its hub is chosen elsewhere`;
    case 'failed':
      return `let in${by}, but no hub takes it (${errorCode ?? ''})`;
    case 'connects':
      return 'connects';
    case 'disabled':
      return block === undefined ? `disabled${by}` : `disabled by ${block}`;
    case 'refused':
      return `refused with ${errorCode ?? ''}`;
    case 'unknown':
      return `not known${why === undefined ? '' : `, ${why}`}`;
    default:
      return assertNever(kind);
  }
}
