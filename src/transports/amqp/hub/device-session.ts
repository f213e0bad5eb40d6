import { limits } from '../../../contracts/limits.ts';
import { idsOf, type IdentityPath } from '../../../contracts/hub/identity-path.ts';
import type { CutReason, LiveSession, MethodCall, MethodOutcome } from '../../../hub/ports.ts';
import type { DeviceGrant, DeviceMessages, DevicePlane } from '../../../hub/service.ts';
import { assertNever } from '../../../kernel/assert-never.ts';
import type { Ids } from '../../../kernel/ids.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { AmqpConnection, AmqpDelivery, AmqpLink, LinkHandler } from '../engine/binding.ts';
import type { AmqpErrors } from '../errors.ts';
import type { DeviceEndpoint } from './address.ts';
import { cutError } from './cut-reason.ts';
import { openDevicebound } from './devicebound.ts';
import { createMethodLinks, type MethodLinks } from './methods.ts';
import { readTelemetry } from './telemetry.ts';
import { createTwinLinks, type TwinLinks } from './twin.ts';

export interface DeviceSessionDeps {
  readonly devicePlane: DevicePlane;
  readonly deviceMessages: DeviceMessages;
  readonly errors: AmqpErrors;
  readonly ids: Ids;
  readonly log: Logger;
  readonly connection: AmqpConnection;
  /** Whether the connection carries no other device. */
  readonly isAlone: () => boolean;
  /** Called once, when the session is over. */
  readonly onEnd: () => void;
}

/**
 * Which end of a link may be at which endpoint: `sender` and `receiver` are the device. A module also receives at `events`, where
 * its inputs would come in; only routes of an edge hub fill them.
 */
const roles: Readonly<Record<DeviceEndpoint, readonly AmqpLink['peerIs'][]>> = {
  events: ['sender'],
  devicebound: ['receiver'],
  methods: ['sender', 'receiver'],
  twin: ['sender', 'receiver'],
};

/** One device on one connection: all of its links, from the first that was let in to the last that closed. */
export class DeviceSession implements LiveSession {
  readonly peer: AmqpConnection['peer'];
  readonly #deps: DeviceSessionDeps;
  readonly #twin: TwinLinks;
  readonly #methods: MethodLinks;
  readonly #links = new Map<string, AmqpLink>();
  #grant: DeviceGrant;
  #leave: () => void = () => {};
  #cut: ServiceError | undefined;
  #over = false;

  private constructor(deps: DeviceSessionDeps, grant: DeviceGrant) {
    this.peer = deps.connection.peer;
    this.#deps = deps;
    this.#grant = grant;
    this.#twin = createTwinLinks({ devicePlane: deps.devicePlane, errors: deps.errors, grant: () => this.#grant });
    this.#methods = createMethodLinks({ ids: deps.ids, onReady: () => deps.devicePlane.takesMethods(this.#grant) });
  }

  /** Joins the bus. Throws as `DevicePlane.openSession`, or with the reason it was cut for meanwhile. */
  static async open(deps: DeviceSessionDeps, grant: DeviceGrant): Promise<DeviceSession> {
    const session = new DeviceSession(deps, grant);
    await session.renew(grant);
    if (session.#cut !== undefined) {
      session.end();
      throw session.#cut;
    }
    return session;
  }

  get grant(): DeviceGrant {
    return this.#grant;
  }

  /** Goes on with another proof, and its later end. Throws as `DevicePlane.openSession`; then the old proof stays. */
  async renew(grant: DeviceGrant): Promise<void> {
    const leave = await this.#deps.devicePlane.openSession(grant, this);
    this.#grant = grant;
    this.#leave = leave;
    if (this.#over) leave();
  }

  /** Lets a link in, unless the session was cut meanwhile; an older one at the same end of the same endpoint is stolen from (hub chapter 2.5). */
  async attach(link: AmqpLink, endpoint: DeviceEndpoint): Promise<LinkHandler> {
    // Cut between its opening and its first link, it has no link whose end would end it.
    if (this.#cut !== undefined) {
      if (this.#links.size === 0) this.end();
      throw this.#cut;
    }
    const key = `${endpoint}/${link.peerIs}`;
    const older = this.#links.get(key);
    this.#links.set(key, link);
    older?.detach(this.#deps.errors.render(cutError('taken-over')));
    try {
      const handler = await this.#open(link, endpoint);
      return { ...handler, closed: () => this.#closed(key, link, handler) };
    } catch (thrown) {
      this.#closed(key, link, undefined);
      throw thrown;
    }
  }

  async cut(reason: CutReason): Promise<void> {
    this.#cut ??= cutError(reason);
    const { connection, errors } = this.#deps;
    const error = errors.render(this.#cut);
    if (this.#deps.isAlone()) return connection.cut(error);
    for (const link of this.#links.values()) link.detach(error);
    await connection.flush();
  }

  notifyDesired(patch: JsonObject): void {
    if (this.#cut === undefined) this.#twin.notifyDesired(patch);
  }

  callMethod(call: MethodCall, signal: AbortSignal): Promise<MethodOutcome> | undefined {
    return this.#cut === undefined ? this.#methods.call(call, signal) : undefined;
  }

  /** Leaves the bus. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#leave();
    this.#deps.onEnd();
  }

  async #open(link: AmqpLink, endpoint: DeviceEndpoint): Promise<LinkHandler> {
    if (endpoint === 'devicebound') return await openDevicebound({ ...this.#deps, grant: () => this.#grant }, link);
    if (endpoint === 'twin' && link.peerIs === 'receiver') this.#twin.attachReceiver(link);
    if (endpoint === 'methods') this.#methods.attached(link);
    return { maxMessageBytes: limits.telemetryBytes, message: (delivery) => this.#receive(endpoint, link, delivery) };
  }

  #closed(key: string, link: AmqpLink, handler: LinkHandler | undefined): void {
    handler?.closed?.();
    this.#twin.detached(link);
    this.#methods.detached(link);
    if (this.#links.get(key) === link) this.#links.delete(key);
    if (this.#links.size === 0) this.end();
  }

  async #receive(endpoint: DeviceEndpoint, link: AmqpLink, delivery: AmqpDelivery): Promise<void> {
    if (this.#cut !== undefined) throw this.#cut;
    switch (endpoint) {
      case 'events':
        return await this.#deps.devicePlane.sendTelemetry(this.#grant, readTelemetry(delivery));
      case 'twin':
        return await this.#twin.request(link, delivery);
      case 'methods':
        return this.#methods.answer(link, delivery);
      case 'devicebound':
        throw new ServiceError('MethodNotAllowed', 'A device receives here; it does not send.');
      default:
        return assertNever(endpoint);
    }
  }
}

/** Throws `AmqpAddressNotFound` when no device or module has this end of this endpoint. */
export function requireRole(link: AmqpLink, { path, endpoint }: { readonly path: IdentityPath; readonly endpoint: DeviceEndpoint }): void {
  const isModule = idsOf(path).moduleId !== undefined;
  if (roles[endpoint].includes(link.peerIs) || (isModule && endpoint === 'events')) return;
  throw new ServiceError('AmqpAddressNotFound', `There is nothing for a ${link.peerIs} at this address.`);
}
