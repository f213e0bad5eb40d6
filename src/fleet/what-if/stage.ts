import type { Block } from '../../blocks/block.ts';
import type { HubTrust } from '../../hub/ports.ts';
import type { ProvisioningTransaction } from '../../provisioning/ports.ts';
import type { Rehearsal } from '../../provisioning/rehearsal/rehearsal.ts';
import type { Provisioning } from '../../provisioning/service.ts';
import { type CertificateCache, createCertificateCache } from '../../provisioning/trust-material.ts';
import { DryRun, dryly } from '../dry-run.ts';
import type { FleetStorage, FleetTransaction } from '../ports.ts';
import type { HubSide } from './connections.ts';

/** Both domains inside one transaction that is going to be rolled back: what is changed there, their own code decides by. */
export interface Stage {
  readonly transaction: FleetTransaction;
  readonly rehearsal: Rehearsal;
  readonly hub: HubSide;
  /** The same transaction with one more block, which no store has. */
  blocking(block: Block): Stage;
}

export interface StageDeps {
  readonly storage: Pick<FleetStorage, 'write'>;
  readonly provisioning: Pick<Provisioning, 'rehearse'>;
  readonly within: Within;
}

/** A transaction of the fleet as each domain sees it. */
export interface Within {
  provisioning(transaction: FleetTransaction): ProvisioningTransaction;
  /** Whom a hub trusts, as the transaction stands. */
  hubTrust(transaction: FleetTransaction): HubTrust;
}

/**
 * Runs `work` in a transaction, and rolls it back. Others who write wait until it has ended, so a long look is taken in
 * several. Whatever `work` throws is thrown.
 */
export type OnStage = <T>(work: (stage: Stage) => Promise<T>) => Promise<T>;

export function createOnStage({ storage, ...deps }: StageDeps): OnStage {
  const certificates = createCertificateCache();
  return (work) =>
    dryly(() =>
      storage.write(async (transaction) => {
        throw new DryRun(await work(openStage(deps, transaction, certificates)));
      }),
    );
}

function openStage(deps: Pick<StageDeps, 'provisioning' | 'within'>, transaction: FleetTransaction, certificates: CertificateCache): Stage {
  return {
    transaction,
    rehearsal: deps.provisioning.rehearse({ transaction: deps.within.provisioning(transaction), certificates }),
    hub: { read: transaction, trust: deps.within.hubTrust(transaction) },
    blocking: (block) => openStage(deps, { ...transaction, blocks: withBlock(transaction.blocks, block) }, certificates),
  };
}

/** A list may name more certificates than anybody would want to write down again and again. */
function withBlock(blocks: FleetTransaction['blocks'], block: Block): FleetTransaction['blocks'] {
  const selectors = new Map(block.selectors.map((selector) => [selector.key, selector]));
  return {
    ...blocks,
    async matching(asked) {
      const hit = asked.flatMap((key) => selectors.get(key) ?? []);
      const stored = await blocks.matching(asked);
      return hit.length === 0 ? stored : [...stored, { ...block, selectors: hit }];
    },
  };
}
