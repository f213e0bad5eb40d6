import type { z } from 'zod';

import type { Operation } from './operation.ts';

export const ok = (schema: z.ZodType): Operation['answer'] => ({ status: 200, schema });
export const none: Operation['answer'] = { status: 204 };

export const paging = {
  top: 'At most so many, from 1 to 1000; 100 unless it says otherwise.',
  after: 'What the page before gave as next.',
};
export const since = 'From this time on (RFC 3339).';
