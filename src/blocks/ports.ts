import type { Instant } from '../kernel/clock.ts';
import type { Page, PageRequest } from '../kernel/page.ts';
import type { Block, Readmission, SelectorKey } from './block.ts';

/** What asking for blocks takes; every domain that lets devices in has it. */
export interface BlockLookup {
  /** Every block that names one of these keys, expired ones included, from an index. */
  matching(keys: readonly SelectorKey[]): Promise<readonly Block[]>;
}

export interface BlockStore extends BlockLookup {
  get(id: string): Promise<Block | undefined>;
  /** By id, which grows with the time of creation. */
  list(page: PageRequest): Promise<Page<Block>>;
  insert(block: Block): Promise<void>;
  /** Throws `ResourceNotFound`. */
  delete(id: string): Promise<void>;
  /** Sets or, with `undefined`, takes away the readmission. Throws `ResourceNotFound`. */
  setReadmission(id: string, readmission: Readmission | undefined): Promise<void>;
  /** Uses the readmission up, once, in one statement; whether it was still there to be used. */
  useReadmission(id: string, at: Instant): Promise<boolean>;
  /** Blocks that have expired at `now` and of which nobody has taken note; the first to expire first, at most `limit`. */
  ended(options: { readonly now: Instant; readonly limit: number }): Promise<readonly Block[]>;
  /** Takes note of the end of a block. */
  noteEnd(id: string, at: Instant): Promise<void>;
}
