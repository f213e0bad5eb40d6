import type { HubConnection } from './door.ts';

/** The other side ended the connection while it was in use. */
export class Dropped extends Error {
  override readonly name = 'Dropped';
}

export function orDropped<T>(work: Promise<T>, { dropped }: Pick<HubConnection, 'dropped'>): Promise<T> {
  const ended = dropped.then((reason): never => {
    throw new Dropped(reason);
  });
  return Promise.race([work, ended]);
}
