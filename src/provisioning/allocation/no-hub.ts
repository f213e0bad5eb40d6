import type { Allocation } from './allocation.ts';

/** 400208: what SDKs report as "IoT hub not specified". */
export function noHub(note: string): Allocation {
  return { ok: false, errorCode: 400208, errorMessage: 'IoT Hub not specified.', note };
}
