import type { TelemetryMessage } from '../contracts/hub/device.ts';
import { idsOf } from '../contracts/hub/identity-path.ts';
import { limits } from '../contracts/limits.ts';
import type { Clock, Instant } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { createAuthenticate } from './authenticate.ts';
import { requireGranted } from './granted.ts';
import { requireTwin } from './lookup.ts';
import { createOpenSession } from './open-session.ts';
import { explained } from './explained.ts';
import type { HubStorage, HubTrust, SessionBus, TelemetryRow } from './ports.ts';
import type { RefusalLog } from './refusal-log.ts';
import { renderDeviceTwin } from './render-twin.ts';
import { createReportedWriter } from './reported.ts';
import type { DeviceGrant, DevicePlane } from './service.ts';

interface DevicePlaneDeps {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly trust: HubTrust;
  readonly clock: Clock;
  readonly log: Logger;
  readonly refusals: Pick<RefusalLog, 'keep'>;
}

/** What devices do once they are at the door. */
export function createDevicePlane(deps: DevicePlaneDeps): DevicePlane {
  const { storage, bus, clock } = deps;
  return explained(deps.refusals, {
    authenticate: createAuthenticate(deps),

    openSession: createOpenSession(deps),

    takesMethods: ({ hub, deviceId }) => bus.ring({ hub, about: 'methods', deviceId }),

    async sendTelemetry(grant, messages) {
      if (messages.length === 0) return;
      requireSendable(messages);
      await storage.write(async (transaction) => {
        const now = clock.now();
        await requireGranted(transaction, grant, now);
        await transaction.telemetry.append(messages.map((message) => telemetryRow(grant, message, now)));
        transaction.afterCommit(() => {
          bus.touch(grant.hub, grant.deviceId);
          bus.ring({ hub: grant.hub, about: 'telemetry' });
        });
      });
    },

    async getTwin(grant) {
      await requireGranted(storage.read, grant, clock.now());
      const twin = await requireTwin(storage.read, grant.hub, grant.deviceId);
      bus.touch(grant.hub, grant.deviceId);
      return renderDeviceTwin(twin);
    },

    patchReported: createReportedWriter(deps),
  });
}

function requireSendable(messages: readonly TelemetryMessage[]): void {
  const bytes = messages.reduce((sum, { body }) => sum + body.length, 0);
  if (bytes > limits.telemetryBytes) {
    throw new ServiceError('MessageTooLarge', `A message or batch has at most ${limits.telemetryBytes} bytes; this one has ${bytes}.`);
  }
}

function telemetryRow(grant: DeviceGrant, message: TelemetryMessage, enqueuedAt: Instant): TelemetryRow {
  const { deviceId, moduleId } = idsOf(grant.deviceId);
  return {
    hub: grant.hub,
    deviceId,
    generationId: grant.generationId,
    enqueuedAt,
    source: 'Telemetry',
    authMethod: renderAuthMethod(grant),
    body: message.body,
    systemProperties:
      moduleId === undefined ? message.systemProperties : { ...message.systemProperties, 'iothub-connection-module-id': moduleId },
    applicationProperties: message.applicationProperties,
  };
}

/** The annotation `iothub-connection-auth-method` (chapter 7.5). */
function renderAuthMethod({ method, scope, deviceId }: DeviceGrant): string {
  const issuer = method === 'x509' ? 'external' : 'iothub';
  const own = idsOf(deviceId).moduleId === undefined ? 'device' : 'module';
  return JSON.stringify({ scope: scope === 'hub' ? scope : own, type: method, issuer, acceptingIpFilterRule: null });
}
