import type { AllocationMethod } from './allocation.ts';
import { noHub } from './no-hub.ts';

/** The one hub that the enrollment names. */
export const staticHub: AllocationMethod = {
  policy: 'static',
  allocate: ({ candidates }) => {
    const [hub, ...others] = candidates;
    if (hub === undefined)
      return noHub('The allocation policy is static, but the enrollment names no hub that is linked. Name one, or link it.');
    if (others.length > 0) return noHub('The allocation policy is static, but the enrollment names more than one hub. Name a single one.');
    return { ok: true, hubHostName: hub.hostName, note: `The enrollment assigns its devices to ${hub.hostName}.` };
  },
};
