import { readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';

import type { CommandContext } from '../context.ts';
import { failure } from '../exit-code.ts';
import { findRunningService } from './running-service.ts';
import { messageOf } from './system-error.ts';

/**
 * The CA certificates that our clients trust: Node's own, the one of the data folder if there is one, and those of
 * `NODE_EXTRA_CA_CERTS`. Naming any replaces what Node would have used, so all are named.
 */
export async function trustedAuthorities(context: Pick<CommandContext, 'dataFolder' | 'environment'>): Promise<readonly string[]> {
  const service = await findRunningService(context);
  const extra = context.environment.env['NODE_EXTRA_CA_CERTS'];
  return [
    ...rootCertificates,
    ...(service === undefined ? [] : [service.ca]),
    ...(extra === undefined || extra === '' ? [] : [await readExtra(extra)]),
  ];
}

async function readExtra(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw failure(`NODE_EXTRA_CA_CERTS names ${path}, which cannot be read (${messageOf(error)}).`);
  }
}
