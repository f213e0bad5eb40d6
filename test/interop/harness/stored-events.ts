import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import type { RunningService } from './service.ts';

/** Reads the stored events from the beginning until every wanted body was seen; whatever is left when they end is missing. */
export async function missingFromEvents({ data, endpoints }: RunningService, wanted: ReadonlySet<string>): Promise<readonly string[]> {
  const missing = new Set(wanted);
  const token = readFileSync(join(data, 'api-token'), 'utf8');
  const ca = readFileSync(endpoints.ca, 'utf8');
  const { hostname, port } = new URL(endpoints.api.url);
  await new Promise<void>((resolve, reject) => {
    const path = '/api/v1/hubs/hub-local/events?after=0';
    const outgoing = request({ host: hostname, port, path, ca, headers: { authorization: `Bearer ${token}` } });
    outgoing.setTimeout(30_000, () => outgoing.destroy());
    outgoing.on('error', (error) => (isBroken(error) ? resolve() : reject(error)));
    outgoing.on('close', () => resolve());
    outgoing.on('response', (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        const end = text.lastIndexOf('\n');
        for (const line of text.slice(0, end).split('\n')) {
          // Stored events come at once; the first heartbeat means that there are no more.
          if (line.startsWith(': still here')) outgoing.destroy();
          if (line.startsWith('data:'))
            missing.delete(Buffer.from((JSON.parse(line.slice(5)) as { body: string }).body, 'base64').toString());
        }
        text = text.slice(end + 1);
        if (missing.size === 0) outgoing.destroy();
      });
    });
    outgoing.end();
  });
  return [...missing];
}

const isBroken = (error: Error): boolean => 'code' in error && error.code === 'ECONNRESET';
