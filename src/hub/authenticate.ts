import { limits } from '../contracts/limits.ts';
import type { Logger } from '../kernel/logger.ts';
import { type HubJudgeDeps, type HubOutcome, judgeDevice } from './judge.ts';
import type { RefusalLog } from './refusal-log.ts';
import type { DevicePlane } from './service.ts';
import { readShown } from './shown.ts';

interface AuthenticateDeps extends HubJudgeDeps {
  readonly log: Logger;
  readonly refusals: Pick<RefusalLog, 'keep'>;
}

type AuthenticationRequest = Parameters<DevicePlane['authenticate']>[0];

/** Judges what a device presented against its committed identity, keeps the reasons of a refusal, and writes one event about it. */
export function createAuthenticate(deps: AuthenticateDeps): DevicePlane['authenticate'] {
  return async (request) => {
    const { hub, deviceId, credentials, peer } = request;
    const { transport, remoteAddress } = peer;
    const outcome = await judgeDevice(deps, { hub, deviceId, shown: readShown(credentials) });
    if (outcome.ok) {
      report(deps.log, request, outcome);
      return { ...outcome.grant, transport, remoteAddress };
    }
    const { block, reason, trace } = outcome;
    const kept = { hub, deviceId: shortened(deviceId), transport, address: remoteAddress, refusal: outcome.refusal, trace };
    const deny = block === undefined ? {} : { deny: { kind: 'block', id: block.id, proven: reason === 'blocked' } as const };
    const refusal = await deps.refusals.keep({ ...kept, ...deny });
    report(deps.log, request, { ...outcome, refusal });
    throw refusal;
  };
}

function report(log: Logger, { hub, deviceId, peer }: AuthenticationRequest, outcome: HubOutcome): void {
  const who = { hub, deviceId: shortened(deviceId), transport: peer.transport, remoteAddress: peer.remoteAddress };
  if (outcome.ok) {
    const { method, scope } = outcome.grant;
    log.info('device.authenticate', { ...who, outcome: 'accepted', method, scope });
    return;
  }
  const { refusal, reason } = outcome;
  const { error, detail, trackingId } = refusal;
  log.info('device.authenticate', { ...who, outcome: 'refused', reason, error, detail, trackingId });
}

/** No identity has a longer path: two ids and a slash. */
function shortened(path: string): string {
  return path.slice(0, 2 * limits.deviceIdLength + 1);
}
