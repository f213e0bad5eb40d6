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
import { createTelemetryIntake } from './telemetry-intake.ts';
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
  const intake = createTelemetryIntake(deps);
  return explained(deps.refusals, {
    authenticate: createAuthenticate(deps),

    openSession: createOpenSession(deps),

    takesMethods: ({ hub, deviceId }) => bus.ring({ hub, about: 'methods', deviceId }),

    async sendTelemetry(grant, messages) {
      if (messages.length === 0) return;
      const bytes = requireSendable(messages);
      await intake.take(grant, { bytes, render: (now) => telemetryRows(grant, messages, now) });
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

/** Returns how many bytes the bodies have. */
function requireSendable(messages: readonly TelemetryMessage[]): number {
  const bytes = messages.reduce((sum, { body }) => sum + body.length, 0);
  if (bytes > limits.telemetryBytes) {
    throw new ServiceError('MessageTooLarge', `A message or batch has at most ${limits.telemetryBytes} bytes; this one has ${bytes}.`);
  }
  return bytes;
}

function telemetryRows(grant: DeviceGrant, messages: readonly TelemetryMessage[], enqueuedAt: Instant): readonly TelemetryRow[] {
  const { deviceId, moduleId } = idsOf(grant.deviceId);
  const { hub, generationId } = grant;
  const common = { hub, deviceId, generationId, enqueuedAt, source: 'Telemetry', authMethod: renderAuthMethod(grant) };
  return messages.map(({ body, systemProperties, applicationProperties }) => ({
    ...common,
    body,
    systemProperties: moduleId === undefined ? systemProperties : { ...systemProperties, 'iothub-connection-module-id': moduleId },
    applicationProperties,
  }));
}

/** The annotation `iothub-connection-auth-method` (chapter 7.5). */
function renderAuthMethod({ method, scope, deviceId }: DeviceGrant): string {
  const issuer = method === 'x509' ? 'external' : 'iothub';
  const own = idsOf(deviceId).moduleId === undefined ? 'device' : 'module';
  return JSON.stringify({ scope: scope === 'hub' ? scope : own, type: method, issuer, acceptingIpFilterRule: null });
}
