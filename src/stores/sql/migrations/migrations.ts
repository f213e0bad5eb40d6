import type { Migration } from 'kysely';

import type { SqlColumnTypes } from '../dialects/sql-dialect.ts';
import { initialMigration } from './0001-initial.ts';
import { allocationMigration } from './0002-allocation.ts';
import { tpmMigration } from './0003-tpm.ts';
import { instancePropertiesMigration } from './0004-instance-properties.ts';
import { messageQueuesMigration } from './0005-message-queues.ts';
import { fleetMigration } from './0006-fleet.ts';
import { leafByTbsMigration } from './0007-leaf-by-tbs.ts';
import { codeExpiryMigration } from './0008-code-expiry.ts';
import { auditMigration } from './0009-audit.ts';
import { modulesMigration } from './0010-modules.ts';
import { provenRootsMigration } from './0013-proven-roots.ts';
import { presenceMigration } from './0014-presence.ts';
import { eventsMigration } from './0015-events.ts';
import { provenanceMigration } from './0016-provenance.ts';

/** Every migration by its name, in the order of names. Only ever added to: a released one is never changed. */
export function migrations(types: SqlColumnTypes): Readonly<Record<string, Migration>> {
  return {
    '0001-initial': initialMigration(types),
    '0002-allocation': allocationMigration,
    '0003-tpm': tpmMigration(types),
    '0004-instance-properties': instancePropertiesMigration(),
    '0005-message-queues': messageQueuesMigration(types),
    '0006-fleet': fleetMigration(),
    '0007-leaf-by-tbs': leafByTbsMigration,
    '0008-code-expiry': codeExpiryMigration,
    '0009-audit': auditMigration,
    '0010-modules': modulesMigration,
    '0013-proven-roots': provenRootsMigration,
    '0014-presence': presenceMigration,
    '0015-events': eventsMigration,
    '0016-provenance': provenanceMigration,
  };
}
