import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

// One event is one message of at most 256 KB, in base64, with its properties.
const maxEventCharacters = 4 * 1024 * 1024;

/** One server-sent event (HTML standard, 9.2.6). */
export interface StreamEvent {
  /** `message` unless it says otherwise. */
  readonly event: string;
  readonly data: string;
}

/** The `data` of server-sent events, as they arrive. */
export async function* readEventStream(stream: Readable): AsyncGenerator<string> {
  for await (const { data } of readEvents(stream)) yield data;
}

/** Server-sent events, as they arrive. */
export async function* readEvents(stream: Readable): AsyncGenerator<StreamEvent> {
  const decoder = new StringDecoder('utf8');
  let pending = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    pending += decoder.write(chunk).replaceAll('\r\n', '\n');
    if (pending.length > maxEventCharacters) throw new Error('an event of the service is too long');
    for (let end = pending.indexOf('\n\n'); end >= 0; end = pending.indexOf('\n\n')) {
      const text = pending.slice(0, end);
      pending = pending.slice(end + 2);
      const data = dataOf(text);
      if (data !== undefined) yield { event: /^event: ?(.*)$/mu.exec(text)?.[1] ?? 'message', data };
    }
  }
}

function dataOf(event: string): string | undefined {
  const lines = event.split('\n').filter((line) => line.startsWith('data:'));
  // Comments keep the connection alive and say nothing.
  return lines.length === 0 ? undefined : lines.map((line) => line.slice(line.startsWith('data: ') ? 6 : 5)).join('\n');
}
