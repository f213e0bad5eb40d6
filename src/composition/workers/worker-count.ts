import { availableParallelism } from 'node:os';

import type { Config } from '../../config/config.ts';

/** Processes that serve devices; with one of them, the service does it itself. */
export const workerCount = ({ workers }: Pick<Config, 'workers'>): number => (workers === 'auto' ? availableParallelism() : workers);
