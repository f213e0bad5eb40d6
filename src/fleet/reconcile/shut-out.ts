import type { Clock } from '../../kernel/clock.ts';
import type { JudgeStores } from '../../provisioning/judge.ts';
import { knownDevice, type KnownDeviceSource } from '../../provisioning/rehearsal/known-devices.ts';
import type { Provisioning } from '../../provisioning/service.ts';
import { createCertificateCache } from '../../provisioning/trust-material.ts';
import type { FleetStorage, RecordGlance } from '../ports.ts';

export interface ShutOutDeps {
  readonly provisioning: Pick<Provisioning, 'inquire'>;
  readonly clock: Clock;
}

export type ShutOutStores = KnownDeviceSource['stores'] & JudgeStores & Pick<FleetStorage['read'], 'instances'>;

/**
 * Whether a deny keeps the device of a record out, by the decision itself, as `stores` stand. Such a record is in use, whatever it
 * leads to: attempts are counted by it, and what its device shows is known from it when the deny is to go.
 */
export type IsShutOut = (stores: ShutOutStores, record: RecordGlance) => Promise<boolean>;

export function createIsShutOut({ provisioning, clock }: ShutOutDeps): IsShutOut {
  const certificates = createCertificateCache();
  return async (stores, { instance: name, registrationId }) => {
    const instance = await stores.instances.get(name);
    const device = instance && (await knownDevice({ stores, certificates, clock }, instance, registrationId));
    const presented = device?.credential.shown.at(-1);
    if (instance === undefined || presented === undefined) return false;
    const { verdict } = await provisioning.inquire({ instance, registrationId, presented, purpose: 'register' }, stores);
    return verdict.kind === 'disabled';
  };
}
