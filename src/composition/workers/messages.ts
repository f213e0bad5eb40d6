import type { ChannelEvent } from '../../bus/relay.ts';
import type { Config } from '../../config/config.ts';
import type { ServerCredentials } from '../../transports/tls/engine/listener.ts';
import type { OpenDoors } from '../doors.ts';

/** What a service tells a worker process. */
export type ToWorker =
  /** First of all. Every port is a number, so that all workers share the same ones. */
  | { readonly kind: 'open'; readonly config: Config; readonly credentials: ServerCredentials }
  | { readonly kind: 'heard'; readonly event: ChannelEvent }
  | { readonly kind: 'renew'; readonly credentials: ServerCredentials }
  | { readonly kind: 'close' };

/** What a worker process tells its service. */
export type FromWorker =
  /** From now on it hears what it is told. */
  | { readonly kind: 'listening' }
  | { readonly kind: 'opened'; readonly ports: OpenDoors['ports']; readonly notices: readonly string[] }
  /** A sentence for the operator; the process ends. */
  | { readonly kind: 'failed'; readonly sentence: string }
  | { readonly kind: 'tell'; readonly message: unknown };
