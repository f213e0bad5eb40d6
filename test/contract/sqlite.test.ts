import { join } from 'node:path';

import { openForTest, temporaryFolder } from './open-sqlite.ts';
import { describeStore } from './store-contract.ts';

describeStore('SQLite in a file', () => openForTest(join(temporaryFolder(), 'muster.db')));
