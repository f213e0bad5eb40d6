/** A message to a device as a service sends it; properties by the names that `TelemetryMessage` uses. */
export interface CloudToDeviceMessage {
  readonly body: Uint8Array;
  readonly systemProperties: Readonly<Record<string, string>>;
  readonly applicationProperties: Readonly<Record<string, string>>;
}

/** Which ends of a message its sender wants to hear of. */
export const ackModes = ['none', 'positive', 'negative', 'full'] as const;
export type AckMode = (typeof ackModes)[number];

/** How a message ended, in the words of the feedback record (chapter 7.2). */
export type FeedbackStatus = 'Success' | 'Expired' | 'DeliveryCountExceeded' | 'Rejected' | 'Purged';

/** One record of a feedback message, members as the service writes them. */
export interface FeedbackRecord {
  readonly originalMessageId: string;
  readonly deviceGenerationId: string;
  readonly deviceId: string;
  readonly enqueuedTimeUtc: string;
  readonly statusCode: FeedbackStatus;
  readonly description: string;
}

/** What emptying a queue came to (chapter 1.5). */
export interface PurgeResult {
  readonly totalMessagesPurged: number;
  readonly deviceId: string;
  readonly moduleId: string | null;
}
