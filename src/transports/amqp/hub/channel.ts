import type { AmqpLink } from '../engine/binding.ts';

/** Joins the sender and the receiver of one conversation: both carry the same text (hub chapter 4.4). */
export function channelId(link: AmqpLink): string {
  const property = link.properties.get('com.microsoft:channel-correlation-id');
  return typeof property === 'string' ? property : '';
}
