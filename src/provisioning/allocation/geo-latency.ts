import type { AllocationMethod } from './allocation.ts';
import { hashed } from './hashed.ts';

/** All hubs of one installation stand at one site as far as anybody can tell here, so ties, which Azure hashes, are all there is. */
export const geoLatency: AllocationMethod = {
  policy: 'geoLatency',
  allocate: (question) => {
    const choice = hashed.allocate(question);
    return { ...choice, note: `geoLatency is treated as hashed, because latencies are not measured. ${choice.note}` };
  },
};
