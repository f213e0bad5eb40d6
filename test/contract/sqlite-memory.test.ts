import { openForTest } from './open-sqlite.ts';
import { describeStore } from './store-contract.ts';

describeStore('SQLite in memory', () => openForTest(':memory:'));
