import type { Logger } from '../kernel/logger.ts';

interface Closable {
  close(): void | Promise<void>;
}

/** Remembers what was opened and closes it in reverse order; one that fails is logged and does not keep the others open. */
export function createClosers(log: Logger): { keep<T extends Closable>(resource: T): T; close(): Promise<void> } {
  const opened: Closable[] = [];
  return {
    keep(resource) {
      opened.push(resource);
      return resource;
    },
    async close() {
      for (const resource of opened.splice(0).toReversed()) {
        try {
          await resource.close();
        } catch (error) {
          log.error('shutdown.failed', { error });
        }
      }
    },
  };
}
