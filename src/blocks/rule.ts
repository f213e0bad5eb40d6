import type { Instant } from '../kernel/clock.ts';
import { printable } from '../pki/printable.ts';
import type { Block, Selector, SelectorKey } from './block.ts';

/**
 * What the peer is after. A readmission lets one registration through, its poll and look-ups with it, and the connections
 * that it led to.
 */
export type BlockedPurpose = 'register' | 'ask' | 'connect';

export interface BlockQuestion {
  /** Blocks that name one of the keys; others do no harm. */
  readonly blocks: readonly Block[];
  readonly keys: readonly SelectorKey[];
  readonly purpose: BlockedPurpose;
  readonly at: Instant;
}

/** One block that was looked at. */
export interface BlockFinding {
  readonly block: Block;
  /** What of it covers the peer. */
  readonly selector: Selector;
  readonly outcome: 'covers' | 'expired' | 'readmits' | 'readmitted';
  /** For operators. */
  readonly sentence: string;
}

export interface BlockVerdict {
  readonly findings: readonly BlockFinding[];
  /** The one that refuses, if any does: the oldest. */
  readonly blocked?: BlockFinding;
  /** Those whose one readmission a registration would use up. */
  readonly readmitting: readonly Block[];
}

/** Whether a block covers a peer. The only place that says so; admission and the hub's authentication ask it. Pure. */
export function judgeBlocks(question: BlockQuestion): BlockVerdict {
  const findings = question.blocks
    .toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
    .flatMap((block) => {
      const selector = block.selectors.find(({ key }) => question.keys.includes(key));
      return selector === undefined ? [] : [find(block, selector, question)];
    });
  const blocked = findings.find(({ outcome }) => outcome === 'covers');
  return {
    findings,
    ...(blocked === undefined ? {} : { blocked }),
    readmitting: findings.filter(({ outcome }) => outcome === 'readmits').map(({ block }) => block),
  };
}

function find(block: Block, selector: Selector, { at, purpose }: BlockQuestion): BlockFinding {
  const { expiresAt, readmission } = block;
  const named = `Block ${block.id} names the ${kindNames[selector.kind]} ${printable(selector.value)}`;
  if (expiresAt !== undefined && at >= expiresAt) {
    return { block, selector, outcome: 'expired', sentence: `${named}, but ended at ${isoTime(expiresAt)}.` };
  }
  const isOpen = readmission !== undefined && readmission.usedAt === undefined && at < readmission.until;
  if (isOpen && purpose !== 'connect') {
    const sentence = `${named}, but lets one registration through until ${isoTime(readmission.until)}.`;
    return { block, selector, outcome: 'readmits', sentence };
  }
  if (readmission?.usedAt !== undefined && purpose !== 'register') {
    const sentence = `${named}, but let the registration of ${isoTime(readmission.usedAt)} through, and what it led to.`;
    return { block, selector, outcome: 'readmitted', sentence };
  }
  const ticket = block.ticket === undefined ? '' : `, ticket ${block.ticket}`;
  return { block, selector, outcome: 'covers', sentence: `${named}. Reason: ${block.reason}${ticket}.` };
}

/** The words for each kind of selector in a sentence. */
export const kindNames = {
  leaf: 'certificate',
  publicKey: 'public key',
  issuerSerial: 'serial number',
  subject: 'subject',
  registrationId: 'registration id',
  deviceId: 'device id',
} as const;

function isoTime(at: Instant): string {
  return new Date(at).toISOString().replace('.000Z', 'Z');
}
