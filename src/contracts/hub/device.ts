import type { JsonObject } from '../../kernel/json.ts';

export const authenticationTypes = ['sas', 'selfSigned', 'certificateAuthority', 'none'] as const;
export type AuthenticationType = (typeof authenticationTypes)[number];

/** Device identity as the hub's REST API shows it (chapter 1.2 of the wire reference). */
export interface DeviceIdentity {
  readonly deviceId: string;
  readonly generationId: string;
  readonly etag: string;
  readonly connectionState: 'Connected' | 'Disconnected';
  readonly status: 'enabled' | 'disabled';
  readonly statusReason: string | null;
  readonly connectionStateUpdatedTime: string;
  readonly statusUpdatedTime: string;
  readonly lastActivityTime: string;
  readonly cloudToDeviceMessageCount: number;
  readonly authentication: {
    readonly symmetricKey: { readonly primaryKey: string | null; readonly secondaryKey: string | null };
    readonly x509Thumbprint: { readonly primaryThumbprint: string | null; readonly secondaryThumbprint: string | null };
    readonly type: AuthenticationType;
  };
  readonly capabilities: { readonly iotEdge: boolean };
  /** Only where there is an edge device: its own, or that of the one above. */
  readonly deviceScope?: string;
  readonly parentScopes?: readonly string[];
}

/** Module identity (chapter 1.3): it has no status of its own. */
export type ModuleIdentity = { readonly moduleId: string; readonly managedBy: string | null } & Omit<
  DeviceIdentity,
  'status' | 'statusReason' | 'statusUpdatedTime' | 'capabilities' | 'deviceScope' | 'parentScopes'
>;

/** Twin as a service sees it (chapter 1.4); sections carry `$metadata` and `$version`. */
export interface Twin {
  readonly deviceId: string;
  readonly moduleId?: string;
  readonly etag: string;
  readonly deviceEtag: string;
  readonly status: 'enabled' | 'disabled';
  readonly statusReason?: string;
  readonly statusUpdateTime: string;
  readonly connectionState: 'Connected' | 'Disconnected';
  readonly lastActivityTime: string;
  readonly cloudToDeviceMessageCount: number;
  readonly authenticationType: AuthenticationType;
  readonly x509Thumbprint: { readonly primaryThumbprint: string | null; readonly secondaryThumbprint: string | null };
  readonly modelId?: string;
  readonly version: number;
  readonly tags: JsonObject;
  readonly properties: { readonly desired: JsonObject; readonly reported: JsonObject };
  readonly capabilities: { readonly iotEdge: boolean };
  readonly deviceScope?: string;
  readonly parentScopes?: readonly string[];
}

/** Twin as its device sees it: `$version` in both sections, no `$metadata`. */
export interface DeviceTwin {
  readonly desired: JsonObject;
  readonly reported: JsonObject;
}

/** A device-to-cloud message as it is stored and shown to operators. */
export interface TelemetryMessage {
  readonly body: Uint8Array;
  /** System properties by their AMQP names: `message-id`, `correlation-id`, `user-id`, `to`, `content-type`, `content-encoding`, `absolute-expiry-time`, `iothub-creation-time-utc`, … */
  readonly systemProperties: Readonly<Record<string, string>>;
  readonly applicationProperties: Readonly<Record<string, string>>;
}
