import type { DeviceTwin } from '../../contracts/hub/device.ts';
import type { TransportName } from '../../contracts/transport.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { DeviceMessage } from './message.ts';
import type { ReceivedMessage } from './received.ts';
import type { Settlement } from './settlement.ts';

/** A door of the service as a device sees it, and what the device shows there. */
export interface DeviceDoor {
  readonly hostName: string;
  readonly port: number;
  /** PEM: the leaf and, if the file has them, its issuers; with its private key. */
  readonly certificate?: string;
  readonly key?: string;
  /** base64, of a device that has no certificate. */
  readonly symmetricKey?: string;
  /** The hub's policy that the key is of, when a service speaks in the place of the device. */
  readonly keyName?: string;
  /** Digital twin model that the device says it is; carried over MQTT. */
  readonly modelId?: string;
  readonly authorities: readonly string[];
}

/** An answer of the provisioning service in HTTP's words, whatever carried it. */
export interface ProvisioningReply {
  readonly status: number;
  readonly retryAfterSeconds?: number;
  readonly body: Json;
}

/** A device's conversation with the provisioning service. */
export interface ProvisioningConversation {
  register(): Promise<ProvisioningReply>;
  poll(operationId: string): Promise<ProvisioningReply>;
  close(): Promise<void>;
}

/** A device's connection to its hub. */
export interface HubConnection {
  /** Absent where the protocol has no twins (HTTPS). */
  readonly twin?: TwinAccess;
  readonly methods?: MethodAccess;
  readonly inbox?: Inbox;
  /** Resolves when the hub has acknowledged the message. */
  send(message: DeviceMessage): Promise<void>;
  /** Resolves with the reason when the other side ends the connection; never because of `close`. */
  readonly dropped: Promise<string>;
  close(): Promise<void>;
}

export interface TwinAccess {
  get(): Promise<DeviceTwin>;
  /** Returns the new version of the reported section, if the protocol tells. */
  report(patch: JsonObject): Promise<number | undefined>;
  onDesired(listener: (patch: Json) => void): Promise<void>;
}

export interface MethodCall {
  readonly id: string;
  readonly name: string;
  readonly payload: Json;
}

export interface MethodAccess {
  /** From now on calls are answered with what the listener returns. */
  onCall(answer: (call: MethodCall) => { readonly status: number; readonly payload: Json }): Promise<void>;
}

/** Cloud-to-device messages: pushed, and completed by their receipt; or fetched one by one, and settled. */
export type Inbox = PushedInbox | PolledInbox;

export interface PushedInbox {
  readonly kind: 'pushed';
  onMessage(listener: (message: PushedMessage) => void): Promise<void>;
}

export interface PolledInbox {
  readonly kind: 'polled';
  /** `undefined` when none waits. */
  receive(): Promise<ReceivedMessage | undefined>;
  settle(etag: string, settlement: Settlement): Promise<void>;
}

export interface PushedMessage {
  readonly topic: string;
  readonly body: string;
  readonly properties: Readonly<Record<string, string>>;
}

/** Whom a device says it is to the provisioning service. */
export interface DeviceIdentity {
  readonly idScope: string;
  readonly registrationId: string;
  /** For the allocation webhook. */
  readonly payload?: JsonObject;
}

/** One way for a device to reach the service. */
export interface DeviceTransport {
  readonly name: TransportName;
  /** Which port of the service it goes to, and the one that clients have hard-wired. */
  readonly door: 'https' | 'mqtts' | 'amqps';
  readonly defaultPort: number;
  provision(door: DeviceDoor, identity: DeviceIdentity): Promise<ProvisioningConversation>;
  connect(door: DeviceDoor, deviceId: string): Promise<HubConnection>;
}

/** A refusal by the service, as opposed to a failure on the way. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}
