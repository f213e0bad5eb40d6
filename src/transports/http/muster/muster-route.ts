import type { Cause } from '../../../audit/actor.ts';
import type { HttpAnswer, HttpRequest, Route } from '../engine/route.ts';

/** A request of somebody who has shown who it is. */
export interface MusterRequest extends HttpRequest {
  /** Whoever asks, for every change. */
  readonly cause: Cause;
}

/** A route of Muster's own API. */
export interface MusterRoute extends Omit<Route, 'handle'> {
  handle(request: MusterRequest): Promise<HttpAnswer>;
}
