import type { Cause } from '../../../audit/actor.ts';
import type { Operator } from '../../../operators/operators.ts';
import type { HttpAnswer, HttpRequest, Route } from '../engine/route.ts';

/** A request of somebody who has shown who it is. */
export interface MusterRequest extends HttpRequest {
  readonly operator: Operator;
  /** Whoever asks and why, for every change. */
  readonly cause: Cause;
}

/** A route of Muster's own API. Its role stands in `openapi/operations.ts`. */
export interface MusterRoute extends Omit<Route, 'handle'> {
  handle(request: MusterRequest): Promise<HttpAnswer>;
}
