import type { Cause } from '../../audit/actor.ts';
import type { Drift, Mended } from '../../contracts/fleet/drift.ts';
import { assertNever } from '../../kernel/assert-never.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Ids } from '../../kernel/ids.ts';
import { DryRun, dryly } from '../dry-run.ts';
import type { FleetStorage, FleetTransaction } from '../ports.ts';
import { judgeRecord } from './judge-record.ts';
import type { IsShutOut } from './shut-out.ts';
import { readTopology, situationsOf } from './situations.ts';
import { judgeEnd, judgeLink } from './stages.ts';

export interface MendDeps {
  readonly storage: FleetStorage;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly isShutOut: IsShutOut;
}

/**
 * Mends one finding in a transaction of its own, in which it is looked at again: whatever was put in order meanwhile stays as it
 * is, and again does nothing more. Mended is what refers to nothing that is there, so that nobody gains or loses access by it.
 */
export async function mend(
  deps: MendDeps,
  finding: Drift,
  { cause, dryRun }: { readonly cause: Cause; readonly dryRun: boolean },
): Promise<Mended> {
  if (!finding.mendable) return { ...finding, outcome: 'left' };
  return await dryly<Mended>(() =>
    deps.storage.write(async (transaction) => {
      const again = (await lookAgain(deps, transaction, finding)).find(({ kind }) => kind === finding.kind);
      if (again === undefined) return { ...finding, outcome: 'gone' };
      if (!again.mendable) return { ...again, outcome: 'left' };
      if (dryRun) throw new DryRun({ ...again, outcome: 'would-mend' });
      await takeAway(deps, transaction, again);
      return { ...again, outcome: 'mended' };
    }, cause),
  );
}

async function lookAgain({ clock, isShutOut }: MendDeps, transaction: FleetTransaction, { subject }: Drift): Promise<readonly Drift[]> {
  const { type, id, scope = '' } = subject;
  switch (type) {
    case 'record': {
      const record = await transaction.registrations.get(scope, id);
      if (record === undefined) return [];
      const situations = await situationsOf({ stores: transaction, isShutOut }, await readTopology(transaction), [record]);
      return situations.flatMap(judgeRecord);
    }
    case 'linked-hub': {
      const link = (await transaction.instances.linkedHubs(scope)).find(({ hostName }) => hostName.toLowerCase() === id.toLowerCase());
      return link === undefined ? [] : judgeLink(await readTopology(transaction), link);
    }
    case 'block': {
      const block = await transaction.blocks.get(id);
      return block === undefined ? [] : judgeEnd(block, clock.now());
    }
    case 'device':
    case 'enrollment':
    case 'enrollment-group':
      return [];
    default:
      return assertNever(type);
  }
}

async function takeAway({ ids }: MendDeps, transaction: FleetTransaction, { subject }: Drift): Promise<void> {
  const { type, id, scope = '' } = subject;
  if (type === 'record') return await transaction.registrations.delete(scope, id, undefined);
  if (type === 'block') return await transaction.blocks.delete(id);
  if (type !== 'linked-hub') throw new Error(`bug: a ${type} is mended by hand`);
  const instance = await transaction.instances.get(scope);
  if (instance === undefined) return;
  await transaction.instances.deleteLinkedHub(scope, id);
  // The tag of the instance advances with its links, as when an operator unlinks.
  await transaction.instances.update({ ...instance, etag: ids.etag() }, instance.etag);
}
