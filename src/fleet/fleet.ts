import type { SessionBus } from '../hub/ports.ts';
import type { Hub } from '../hub/service.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { Provisioning } from '../provisioning/service.ts';
import { createBlockEndings } from './block-endings.ts';
import { createBlocks } from './blocks.ts';
import { createDeprovision } from './deprovision.ts';
import { createExplain } from './explain/explain.ts';
import { createExplainAt, type ExplainAtDeps } from './explain/then/explain-at.ts';
import type { ReceiptRow } from './ports.ts';
import { createProof, type Proof } from './proof.ts';
import type { Receipt } from '../contracts/fleet/receipt.ts';
import { createReconcile } from './reconcile/reconcile.ts';
import { createReinstate } from './reinstate.ts';
import { createChooseTargets } from './run-targets.ts';
import { createRuns } from './runs.ts';
import type { Fleet } from './service.ts';
import { createTripwires } from './tripwire/tripwires.ts';
import type { Within } from './what-if/stage.ts';
import { createWhatIf } from './what-if/what-if.ts';

export interface FleetDependencies {
  readonly storage: ExplainAtDeps['storage'];
  readonly provisioning: Pick<Provisioning, 'inquire' | 'rehearse' | 'individualEnrollments' | 'enrollmentGroups' | 'records'>;
  readonly within: Within;
  readonly hub: Pick<Hub, 'judge'>;
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
}

/** Domain 3: what is done to devices across both others. */
export function createFleet(deps: FleetDependencies): Fleet {
  const proof = createProof(deps);
  const deprovision = createDeprovision({ ...deps, proof });
  const { recover, close, ...runs } = createRuns({ ...deps, deprovision, targets: createChooseTargets(deps) });
  const explain = createExplain(deps);
  const explainAt = createExplainAt(deps);
  const endings = createBlockEndings(deps);
  return {
    deprovision: (request, cause) => deprovision(request, cause),
    reinstate: createReinstate({ ...deps, proof }),
    receipts: {
      async get(id) {
        const row = await deps.storage.read.receipts.get(id);
        if (row === undefined) throw new ServiceError('ResourceNotFound', `There is no receipt '${id}'.`);
        return await withProof(receiptOf(row), proof);
      },
      list: async (query) => (await deps.storage.read.receipts.list(query)).map(receiptOf),
    },
    blocks: createBlocks(deps),
    tripwires: createTripwires(deps),
    runs,
    explain: (request) => (request.asOf === undefined ? explain(request) : explainAt(request, request.asOf)),
    whatIf: createWhatIf(deps),
    drift: createReconcile(deps),
    async recover() {
      await endings.now();
      return await recover();
    },
    async close() {
      await Promise.all([endings.close(), close()]);
    },
  };
}

function receiptOf({ body, undoneBy }: ReceiptRow): Receipt {
  // Written by this domain, in this shape.
  const receipt = body as unknown as Receipt;
  return undoneBy === undefined ? receipt : { ...receipt, undoneBy };
}

/** A stop between the commit and the proof leaves a receipt without one: then it is tried now. */
async function withProof(receipt: Receipt, proof: Proof): Promise<Receipt> {
  return receipt.proof === undefined ? { ...receipt, proof: await proof(receipt.device) } : receipt;
}
