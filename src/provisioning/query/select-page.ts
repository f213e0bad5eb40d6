import { limits } from '../../contracts/limits.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Page, PageRequest } from '../../kernel/page.ts';
import { compileCondition, type Condition, type Shape } from './condition.ts';

export interface Selection<Row, Item> {
  readonly page: PageRequest;
  /** Absent: everything. */
  readonly condition: Condition | undefined;
  readonly shape: Shape;
  /** A slice of all rows, in the order of their keys. */
  readonly read: (page: PageRequest) => Promise<Page<Row>>;
  readonly keyOf: (row: Row) => string;
  /** What the client sees of a row; conditions see the same, so that nothing hidden can be asked about. */
  readonly render: (row: Row) => Item;
}

const rowsAtOnce = 500;

/**
 * A page of the rows that meet a condition. One request looks at a bounded number of rows: where few of many match, a page may
 * be short or empty, and yet have a continuation, as clients of Azure's queries know it.
 */
export async function selectPage<Row, Item extends object>(selection: Selection<Row, Item>): Promise<Page<Item>> {
  const { page, condition, shape, read, keyOf, render } = selection;
  if (condition === undefined) return renderPage(await read(page), render);
  const meets = compileCondition(condition, shape);
  const items: Item[] = [];
  let next = page.after;
  for (let left: number = limits.queryExaminedRows; left > 0;) {
    const chunk = await read({ limit: Math.min(rowsAtOnce, left), ...(next === undefined ? {} : { after: next }) });
    for (const [at, row] of chunk.items.entries()) {
      const item = render(row);
      if (meets(item as unknown as JsonObject)) items.push(item);
      const isLast = chunk.next === undefined && at === chunk.items.length - 1;
      if (items.length === page.limit) return isLast ? { items } : { items, next: keyOf(row) };
    }
    if (chunk.next === undefined) return { items };
    next = chunk.next;
    left -= chunk.items.length;
  }
  return next === undefined ? { items } : { items, next };
}

function renderPage<Row, Item>({ items, next }: Page<Row>, render: (row: Row) => Item): Page<Item> {
  return { items: items.map(render), ...(next === undefined ? {} : { next }) };
}
