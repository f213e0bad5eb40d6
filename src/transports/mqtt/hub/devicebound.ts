import { limits } from '../../../contracts/limits.ts';
import type { DeviceGrant, DeviceMessages, LockedMessage, MessageReceiver, MessageSink } from '../../../hub/service.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { MqttLink, TrackedMessage } from '../engine/binding.ts';
import { renderDeviceboundTopic } from './topics.ts';

/** A message at the device, by its sequence number: the same one again goes out under the same packet identifier. */
interface Slot {
  locked: LockedMessage;
  tracked?: TrackedMessage;
  /** The lock ended before a PUBACK came. The identifier stays taken, or a late PUBACK would complete another message. */
  lapsed: boolean;
}

interface DeviceboundDeps {
  readonly link: MqttLink;
  readonly deviceMessages: DeviceMessages;
  readonly grant: DeviceGrant;
  readonly log: Logger;
}

/** Lapsed messages of a client that acknowledges nothing; beyond them it is cut. */
const mostSlots = 8 * limits.mqttUnacknowledged;
/** A topic has two bytes for its length [MQTT-1.5.3]. */
const topicBytes = 65_535;

/** Messages to one device over its connection (reference 3.5). */
export class Devicebound implements MessageSink {
  readonly #deps: DeviceboundDeps;
  readonly #slots = new Map<number, Slot>();
  #receiver: MessageReceiver | undefined;
  #ended = false;

  constructor(deps: DeviceboundDeps) {
    this.#deps = deps;
  }

  /** Begins to deliver; the device has subscribed. Opening twice is opening once. */
  async open(): Promise<void> {
    if (this.#receiver !== undefined) return;
    const { deviceMessages, grant } = this.#deps;
    const receiver = await deviceMessages.openReceiver(() => grant, this);
    if (this.#ended) return receiver.close();
    this.#receiver = receiver;
    this.#tellCredit();
  }

  /** Gives back what the device has not acknowledged. */
  async close(): Promise<void> {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    this.#slots.clear();
    await receiver?.close();
  }

  /** The connection is gone, perhaps while a receiver was being opened. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.close();
  }

  deliver(locked: LockedMessage): void {
    const known = this.#slots.get(locked.sequenceNumber);
    if (known === undefined) return this.#send({ locked, lapsed: false });
    known.locked = locked;
    known.lapsed = false;
    known.tracked?.again();
  }

  lockEnded({ sequenceNumber }: LockedMessage): void {
    const slot = this.#slots.get(sequenceNumber);
    if (slot !== undefined) slot.lapsed = true;
    if (this.#slots.size > mostSlots) void this.#deps.link.cut('the client acknowledges nothing');
    this.#tellCredit();
  }

  #send(slot: Slot): void {
    const { link, grant, log } = this.#deps;
    const { hub, deviceId } = grant;
    const { message, sequenceNumber } = slot.locked;
    this.#slots.set(sequenceNumber, slot);
    const topic = renderDeviceboundTopic(deviceId, message);
    if (Buffer.byteLength(topic) > topicBytes) {
      log.warn('mqtt.devicebound.rejected', { hub, deviceId, sequenceNumber, reason: 'topic too long' });
      return this.#finish(slot, 'reject');
    }
    const tracked = link.track({ topic, payload: Buffer.from(message.body) }, () => this.#finish(slot, 'complete'));
    if (tracked !== undefined) slot.tracked = tracked;
  }

  /** Nobody waits for the outcome, so what goes wrong is told to the log. */
  #finish(slot: Slot, settlement: 'complete' | 'reject'): void {
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    const { grant, log } = this.#deps;
    const fields = { hub: grant.hub, deviceId: grant.deviceId, sequenceNumber: slot.locked.sequenceNumber };
    receiver
      .settle(slot.locked.lockToken, settlement)
      .catch((error: unknown) => {
        // Too late, or not for this device any more: the message comes again, to whomever it may.
        if (error instanceof ServiceError) log.debug('mqtt.devicebound.not-settled', { ...fields, error: error.error });
        else log.error('mqtt.devicebound.failed', { ...fields, error });
      })
      .finally(() => this.#release(slot));
  }

  #release(slot: Slot): void {
    if (this.#slots.get(slot.locked.sequenceNumber) === slot) this.#slots.delete(slot.locked.sequenceNumber);
    this.#tellCredit();
  }

  #tellCredit(): void {
    const busy = [...this.#slots.values()].filter(({ lapsed }) => !lapsed).length;
    this.#receiver?.setCredit(Math.max(0, limits.mqttUnacknowledged - busy));
  }
}
