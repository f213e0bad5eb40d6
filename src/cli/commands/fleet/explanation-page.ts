import type { Chain, ChainLink, Decision, Explanation, KeptDecision, TraceLine } from '../../../contracts/fleet/explanation.ts';
import type { Mark, Page } from '../../output/page.ts';
import { showFindings } from './receipt-page.ts';

/** An explanation as a page for people. */
export function showExplanation(explanation: Explanation, page: Page): void {
  const { asked, at, asOf, notes = [], kept, found, decisions } = explanation;
  page.title(asked, asOf === undefined ? at : `as it was at ${asOf}`);
  for (const note of notes) page.item('unknown', note);
  if (kept !== undefined) showKept(kept, page);
  if (found !== undefined) showFindings(found, page);
  for (const decision of decisions) showDecision(decision, page);
}

const verdictWords = { 'let-in': 'lets it in', disabled: 'says disabled', refused: 'refuses it', unknown: 'cannot be told' } as const;

function showDecision(decision: Decision, page: Page): void {
  const { side, name, id, verdict, basis, chain, trace, says, remedies } = decision;
  const who = side === 'hub' ? `Hub ${name}` : `Provisioning service ${name}`;
  page.heading(`${who} ${verdictWords[verdict]}: ${id}`);
  page.fact('judged by', basis);
  if (chain !== undefined) showChain(chain, page);
  showTrace(trace, page);
  if (says !== undefined) {
    page.line(`   ${page.colours.dim('what the wire says')}`);
    page.fact('https', says.https);
    page.fact('mqtt', says.mqtt);
    page.fact('amqp', says.amqp);
  }
  showRemedies(remedies, page);
}

function showKept(kept: KeptDecision, page: Page): void {
  const who = kept.side === 'hub' ? `hub ${kept.name}` : `provisioning service ${kept.name}`;
  page.fact('device', kept.id);
  page.fact('asked', `${who}, over ${kept.transport}`);
  page.fact('at', kept.at);
  page.fact('verdict', kept.verdict);
  page.fact('tracking id', kept.trackingId);
  if (kept.operationId !== undefined) page.fact('operation id', kept.operationId);
  if (kept.says !== undefined) page.fact('wire said', kept.says);
  page.gap();
  showTrace(kept.trace, page);
  showRemedies(kept.remedies, page);
}

/** Leaf to root, the break where it is. */
function showChain({ links, trusted, missingIssuer }: Chain, page: Page): void {
  page.line(`   ${page.colours.dim('chain, leaf to root')}`);
  for (const [at, link] of links.entries()) showLink(link, at, page);
  if (missingIssuer !== undefined) {
    const key = missingIssuer.keyId === undefined ? '' : `, key id ${missingIssuer.keyId.slice(0, 16)}…`;
    page.line(`     ${page.colours.red('┆')}`);
    page.line(`     ${page.colours.red('✗')} ${page.colours.red(`missing: ${missingIssuer.name}${key}`).slice(0, 160)}`);
  } else if (trusted) {
    page.line(`     ${page.colours.green('✓')} trusted`);
  }
}

function showLink({ role, subject, sha256, notAfter, from, problem }: ChainLink, at: number, page: Page): void {
  const { colours } = page;
  const bar = colours.dim('│');
  if (at > 0) page.line(`     ${bar}`);
  const mark = problem === undefined ? colours.green('●') : colours.red('●');
  page.line(`     ${mark} ${subject.slice(0, 60)} ${colours.dim(`(${role})`)}`);
  page.line(`     ${bar} ${colours.dim(`SHA-256 ${sha256.slice(0, 16)}…, until ${notAfter.slice(0, 10)}`)}`);
  for (const source of from) page.line(`     ${bar} ${colours.dim(source.slice(0, 70))}`);
  if (problem !== undefined) page.line(`     ${bar} ${colours.red(problem.reason)}`);
}

function showTrace(trace: readonly TraceLine[], page: Page): void {
  page.line(`   ${page.colours.dim('what was looked at, in order')}`);
  for (const { subject, outcome, reason, sentence } of trace) {
    const mark: Mark = outcome === 'decided' ? decidedMark(reason) : outcome === 'passed' ? 'good' : subject === 'path' ? 'bad' : 'plain';
    page.item(mark, `${subject}: ${sentence}${outcome === 'decided' ? ' This decided.' : ''}`);
  }
}

const letsIn = new Set(['thumbprint', 'issuer', 'enabled', 'initialAssignment', 'deviceDataMigrated', 'deviceDataReset', 'x509', 'sas']);

const decidedMark = (reason: string): Mark => (letsIn.has(reason) ? 'good' : 'bad');

function showRemedies(remedies: readonly string[], page: Page): void {
  if (remedies.length === 0) return;
  page.line(`   ${page.colours.dim('what to do')}`);
  for (const remedy of remedies) page.item('plain', remedy);
}
