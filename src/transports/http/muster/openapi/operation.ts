import type { z } from 'zod';
import type { OperatorRole } from '../../../../contracts/operators.ts';

/** What a route of Muster's own API is for, and for whom: what its description says, and what is asked of its caller. */
export interface Operation {
  /** `anyone` needs no token. */
  readonly role: OperatorRole | 'anyone';
  readonly summary: string;
  readonly tag: 'service' | 'provisioning' | 'hubs' | 'fleet' | 'audit' | 'operators' | 'refusals';
  /** Query parameters, each a text, with what it says. */
  readonly query?: Readonly<Record<string, string>>;
  /** Headers that it reads, with what each says. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether `If-Match` is honoured. */
  readonly conditional?: boolean;
  readonly body?: z.ZodType;
  readonly answer: {
    readonly status: 200 | 202 | 204;
    /** Absent for an answer without a body. */
    readonly schema?: z.ZodType;
    /** The data of server-sent events instead of a body. */
    readonly stream?: boolean;
  };
  /** Statuses of refusals besides those that every route has. */
  readonly refusals?: readonly number[];
}

/** By method and path, as the route has them. */
export type Operations = Readonly<Record<string, Operation>>;
