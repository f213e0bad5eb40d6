import type { QueueId } from '../ports.ts';

/** What waits for a device. A queue of a module, or for file notifications, is one more function here. */
export const deviceQueue = (hub: string, deviceId: string): QueueId => ({ hub, name: `devicebound/${deviceId}`, deviceId });

/** Feedback for the services of a hub, in batches. */
export const feedbackQueue = (hub: string): QueueId => ({ hub, name: 'feedback' });
