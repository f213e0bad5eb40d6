import type { AuditEntry, AuditHead, AuditVerdict } from '../contracts/audit/audit-entry.ts';
import type { Instant } from '../kernel/clock.ts';
import type { Page } from '../kernel/page.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { type Cause, systemCause } from './actor.ts';
import type { AuditKeys } from './audit-keys.ts';
import { chainStart, checkChain, type ChainFlaw } from './chain.ts';
import type { AuditQuery, AuditStorage } from './ports.ts';

/** Who changed what, when, from where and why. */
export interface AuditTrail {
  list(query: AuditQuery): Promise<Page<AuditEntry>>;
  /** Throws `ResourceNotFound`. */
  get(sequence: number): Promise<AuditEntry>;
  head(): Promise<AuditHead>;
  /** Checks every entry, and that the trail still leads to an end that was noted elsewhere, given by its hash. */
  verify(expected?: { readonly hash: string }): Promise<AuditVerdict>;
  /** Removes what is older, and says so in the trail itself, so that the rest can still be checked. Returns how many. */
  prune(before: Instant, cause?: Cause): Promise<number>;
}

const entriesPerRead = 500;

export function createAuditTrail({ storage, keys }: { readonly storage: AuditStorage; readonly keys?: AuditKeys }): AuditTrail {
  const { audit } = storage.read;
  return {
    list: (query) => audit.list(query),
    async get(sequence) {
      const entry = await audit.get(sequence);
      if (entry === undefined) throw new ServiceError('ResourceNotFound', `There is no entry ${sequence} in the audit trail.`);
      return entry;
    },
    async head() {
      const { sequence, hash } = await audit.head();
      return { sequence, hash };
    },
    verify: (expected) => verify({ storage, ...(keys === undefined ? {} : { keys }) }, expected),
    prune: (before, cause = systemCause) =>
      storage.write(async (transaction) => {
        const { removed, checkpoint } = await transaction.audit.prune(before);
        if (checkpoint !== undefined && removed > 0) {
          const after = { through: checkpoint.sequence, hash: checkpoint.hash, removed };
          transaction.changes.record({ action: pruneAction, resource: { kind: 'audit-trail', id: 'audit-trail' }, after });
        }
        return removed;
      }, cause),
  };
}

const pruneAction = 'audit-trail.prune';

async function verify(
  deps: { readonly storage: AuditStorage; readonly keys?: AuditKeys },
  expected: { readonly hash: string } | undefined,
): Promise<AuditVerdict> {
  const { audit } = deps.storage.read;
  const checkpoint = await audit.checkpoint();
  const chain = checkChain(checkpoint ?? chainStart);
  const first = chain.at.sequence;
  const seen = { checkpoint: checkpoint === undefined, expected: expected === undefined || isAt(chain.at, expected) };
  const no = ({ sequence, reason, sentence }: ChainFlaw): AuditVerdict => {
    return { ok: false, checked: chain.at.sequence - first, sequence, reason, sentence };
  };
  for (let before = -1; before < chain.at.sequence;) {
    before = chain.at.sequence;
    for await (const entry of entriesAfter(audit, chain.at.sequence)) {
      const flaw = chain.next(entry);
      if (flaw !== undefined) return no(flaw);
      if (checkpoint !== undefined && tellsOf(entry, checkpoint)) seen.checkpoint = true;
      if (expected !== undefined && isAt(entry, expected)) seen.expected = true;
    }
    // Read after the entries, so that it is never behind them; what was added in between is read in another round.
    const head = await audit.head();
    const wentOn = head.sequence > chain.at.sequence && chain.at.sequence > before;
    const flaw = wentOn ? undefined : (headFlaw(head, chain.at) ?? sealFlaw(head, deps.keys));
    if (flaw !== undefined) return no(flaw);
    if (!wentOn) break;
  }
  const moved = await audit.checkpoint();
  // Retention removed something meanwhile, and the entry that tells of it is further on.
  if (moved?.sequence !== checkpoint?.sequence) return await verify(deps, expected);
  if (!seen.checkpoint) return no(checkpointFlaw(first));
  if (!seen.expected) return no(expectedFlaw(chain.at, expected?.hash ?? ''));
  return {
    ok: true,
    checked: chain.at.sequence - first,
    head: chain.at,
    ...(checkpoint === undefined ? {} : { prunedThrough: checkpoint }),
    sealed: deps.keys !== undefined && chain.at.sequence > 0,
  };
}

async function* entriesAfter(audit: AuditStorage['read']['audit'], after: number): AsyncGenerator<AuditEntry> {
  let next: string | undefined = String(after);
  while (next !== undefined) {
    const page: Page<AuditEntry> = await audit.list({ order: 'oldest-first', limit: entriesPerRead, after: next });
    yield* page.items;
    next = page.next;
  }
}

const isAt = (head: AuditHead, { hash }: { readonly hash: string }): boolean => head.hash === hash.toLowerCase();

function tellsOf({ action, after }: AuditEntry, checkpoint: AuditHead): boolean {
  return action === pruneAction && after?.['through'] === checkpoint.sequence && after['hash'] === checkpoint.hash;
}

function headFlaw(head: AuditHead, last: AuditHead): ChainFlaw | undefined {
  if (head.sequence > last.sequence) {
    const sentence = `The trail went on to entry ${head.sequence}, and ends at ${last.sequence} now.`;
    return { sequence: last.sequence + 1, reason: 'truncated', sentence };
  }
  if (head.sequence < last.sequence) {
    return { sequence: head.sequence + 1, reason: 'head', sentence: `Entry ${head.sequence + 1} was not written by the service.` };
  }
  if (head.hash !== last.hash) {
    return { sequence: last.sequence, reason: 'head', sentence: `Entry ${last.sequence} is not the one that the trail ended with.` };
  }
  return undefined;
}

function sealFlaw(head: AuditHead & { readonly seal?: string }, keys: AuditKeys | undefined): ChainFlaw | undefined {
  if (keys === undefined || head.sequence === 0 || head.seal === keys.seal(head)) return undefined;
  const sentence = `The end of the trail at entry ${head.sequence} was written by somebody without the key of this installation.`;
  return { sequence: head.sequence, reason: 'seal', sentence };
}

function checkpointFlaw(first: number): ChainFlaw {
  const sentence = `The trail begins after entry ${first}, and no entry tells that retention removed what was before.`;
  return { sequence: first + 1, reason: 'checkpoint', sentence };
}

function expectedFlaw({ sequence }: AuditHead, hash: string): ChainFlaw {
  const sentence = `No entry up to ${sequence} has the hash ${hash}: the trail is another one than the one that ended with it, or what led there was removed.`;
  return { sequence, reason: 'exported-head', sentence };
}
