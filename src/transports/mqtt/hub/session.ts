import type { TelemetryMessage } from '../../../contracts/hub/device.ts';
import { limits } from '../../../contracts/limits.ts';
import type { CutReason } from '../../../hub/ports.ts';
import type { DeviceGrant, DevicePlane } from '../../../hub/service.ts';
import { assertNever } from '../../../kernel/assert-never.ts';
import { parseJson } from '../../../kernel/parse-json.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { InboundMessage, MqttSession, OutboundMessage, SessionEnd, Subscriptions, Taken } from '../engine/binding.ts';
import { renderError, type ErrorDeps } from '../errors.ts';
import type { Devicebound } from './devicebound.ts';
import type { MethodTopics } from './methods.ts';
import { renderTelemetry } from './telemetry.ts';
import { deviceboundFilter, hubFilters, methodFilter, parseHubTopic, renderTwinTopic, type HubRequest } from './topics.ts';

export interface HubSessionDeps extends ErrorDeps {
  readonly devicePlane: DevicePlane;
  readonly devicebound: Devicebound;
  readonly methods: MethodTopics;
  /** Keeps subscriptions for the next connection; absent for a client that begins anew each time. */
  readonly keep: ((subscriptions: Subscriptions) => Promise<void>) | undefined;
  /** What an earlier connection left. */
  readonly stored: Subscriptions | undefined;
  readonly grant: DeviceGrant;
  /** Leaves the bus. */
  readonly leave: () => void;
  readonly will: TelemetryMessage | undefined;
  /** Why the hub cut the session, if it did. */
  readonly cutReason: () => CutReason | undefined;
}

type TwinRequest = Extract<HubRequest, { kind: 'get-twin' | 'patch-reported' }>;

/** A device that was let in. */
export function createHubSession(deps: HubSessionDeps): MqttSession {
  const { hub, deviceId } = deps.grant;
  const filters = hubFilters(deviceId);
  return {
    // A message of 256 KB counts its properties (quotas, chapter 9.3), which are in the topic; the rest is the topic's fixed part.
    maxPacketBytes: limits.telemetryBytes + 256,
    logFields: { hub, deviceId, authentication: deps.grant.method },
    ...(deps.stored !== undefined && { stored: deps.stored }),
    subscribed: (subscriptions) => subscribed(deps, subscriptions),
    grants: (filter) => filters.includes(filter),
    take: (messages) => take(deps, messages),
    end: (how) => end(deps, how),
  };
}

/** Keeps first what is acknowledged then; calls and messages come after that. */
async function subscribed({ keep, devicePlane, devicebound, methods, grant }: HubSessionDeps, subscriptions: Subscriptions): Promise<void> {
  await keep?.(subscriptions);
  if (subscriptions.has(deviceboundFilter(grant.deviceId))) await devicebound.open();
  else await devicebound.close();
  const before = methods.subscribed;
  methods.subscribed = subscriptions.has(methodFilter);
  if (methods.subscribed && !before) devicePlane.takesMethods(grant);
}

/** Telemetry that arrived together is stored together; everything else goes one by one. */
async function take(deps: HubSessionDeps, messages: readonly InboundMessage[]): Promise<Taken> {
  const [first] = messages;
  if (first === undefined) return { taken: 0, replies: [] };
  const request = readRequest(deps, first);
  if (request.kind === 'telemetry') {
    const run = telemetryRun(deps, messages);
    await deps.devicePlane.sendTelemetry(deps.grant, run);
    return { taken: run.length, replies: [] };
  }
  if (request.kind === 'method-response') {
    // One that comes late is acknowledged like any other; nobody waits for it any more.
    deps.methods.answer(request.rid, request.status, first.payload);
    return { taken: 1, replies: [] };
  }
  return { taken: 1, replies: [await answerTwin(deps, request, first.payload)] };
}

function readRequest({ grant }: HubSessionDeps, message: InboundMessage): HubRequest {
  const request = parseHubTopic(message.topic, grant.deviceId);
  if (request === undefined) throw new ServiceError('ArgumentInvalid', 'This device may not publish to this topic.');
  return request;
}

/** The telemetry at the front, at most one message limit in total. */
function telemetryRun(deps: HubSessionDeps, messages: readonly InboundMessage[]): readonly TelemetryMessage[] {
  const run: TelemetryMessage[] = [];
  let bytes = 0;
  for (const message of messages) {
    bytes += message.topic.length + message.payload.length;
    if (run.length > 0 && bytes > limits.telemetryBytes) break;
    const request = run.length === 0 ? readRequest(deps, message) : tryTelemetry(deps, message);
    if (request?.kind !== 'telemetry') break;
    run.push(renderTelemetry(message, request.properties));
  }
  return run;
}

/** A later message that is refused must not take down those before it: it gets its turn, and its refusal, next. */
function tryTelemetry(deps: HubSessionDeps, message: InboundMessage): HubRequest | undefined {
  try {
    return readRequest(deps, message);
  } catch (thrown) {
    if (thrown instanceof ServiceError) return undefined;
    throw thrown;
  }
}

async function answerTwin(deps: HubSessionDeps, request: TwinRequest, payload: Buffer): Promise<OutboundMessage> {
  try {
    return await askTwin(deps, request, payload);
  } catch (thrown) {
    const error = renderError(thrown, deps);
    return { topic: renderTwinTopic({ status: error.status, rid: request.rid }), payload: error.payload };
  }
}

async function askTwin({ devicePlane, grant }: HubSessionDeps, request: TwinRequest, payload: Buffer): Promise<OutboundMessage> {
  switch (request.kind) {
    case 'get-twin': {
      const twin = await devicePlane.getTwin(grant);
      return { topic: renderTwinTopic({ status: 200, rid: request.rid }), payload: Buffer.from(JSON.stringify(twin)) };
    }
    case 'patch-reported': {
      const patch = parseJson(payload, 'ArgumentInvalid');
      if (patch === undefined) throw new ServiceError('ArgumentInvalid', 'The body is empty.');
      const version = await devicePlane.patchReported(grant, patch, parseVersion(request.version));
      return { topic: renderTwinTopic({ status: 204, rid: request.rid, version }), payload: Buffer.alloc(0) };
    }
    default:
      return assertNever(request);
  }
}

function parseVersion(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/u.test(text)) throw new ServiceError('ArgumentInvalid', 'The $version of the topic is not a number.');
  return Number(text);
}

/** Only a device that vanished leaves a will: one that was shut out has nothing more to say, nor has a hub that stops. */
async function end(deps: HubSessionDeps, how: SessionEnd): Promise<void> {
  const { devicePlane, grant, will, cutReason, log } = deps;
  deps.leave();
  deps.methods.end();
  await deps.devicebound.end();
  const vanished = how === 'lost' || (how === 'cut' && cutReason() === 'taken-over');
  if (will === undefined || !vanished) return;
  try {
    await devicePlane.sendTelemetry(grant, [will]);
  } catch (thrown) {
    if (!(thrown instanceof ServiceError)) throw thrown;
    log.warn('mqtt.will.refused', { hub: grant.hub, deviceId: grant.deviceId, error: thrown.error });
  }
}
