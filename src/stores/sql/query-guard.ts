import type { KyselyPlugin, RootOperationNode } from 'kysely';

import type { SqlExecutor } from './schema.ts';

/** The same executor with a check before every query; what the check throws rejects the query. */
export function guarded(db: SqlExecutor, check: (query: RootOperationNode) => void): SqlExecutor {
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      check(node);
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  };
  return db.withPlugin(plugin);
}
