import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

// One event is one message of at most 256 KB, in base64, with its properties.
const maxEventCharacters = 4 * 1024 * 1024;

/** The `data` of server-sent events (HTML standard, 9.2.6), as they arrive. */
export async function* readEventStream(stream: Readable): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let pending = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    pending += decoder.write(chunk).replaceAll('\r\n', '\n');
    if (pending.length > maxEventCharacters) throw new Error('an event of the service is too long');
    for (let end = pending.indexOf('\n\n'); end >= 0; end = pending.indexOf('\n\n')) {
      const data = dataOf(pending.slice(0, end));
      pending = pending.slice(end + 2);
      if (data !== undefined) yield data;
    }
  }
}

function dataOf(event: string): string | undefined {
  const lines = event.split('\n').filter((line) => line.startsWith('data:'));
  // Comments keep the connection alive and say nothing.
  return lines.length === 0 ? undefined : lines.map((line) => line.slice(line.startsWith('data: ') ? 6 : 5)).join('\n');
}
