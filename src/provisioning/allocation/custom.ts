import type { AllocationMethod } from './allocation.ts';

/** Ends every registration as failed, because no webhook is called yet; other policies go on working beside it. */
export const custom: AllocationMethod = {
  policy: 'custom',
  allocate: () => ({
    ok: false,
    errorCode: 400207,
    errorMessage: 'Custom allocation is not available yet.',
    note: 'The allocation policy is custom. Webhooks are not called yet: choose hashed or static until they are.',
  }),
};
