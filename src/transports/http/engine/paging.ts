import { createHash } from 'node:crypto';
import type { ErrorName } from '../../../kernel/error-table.ts';
import type { Page, PageRequest } from '../../../kernel/page.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { HttpAnswer, HttpRequest } from './route.ts';

/** How a binding pages, and what it throws for what it cannot read. */
export interface PagingRule {
  readonly usualItems: number;
  readonly mostItems: number;
  readonly error: ErrorName;
}

/**
 * Reads `x-ms-max-item-count` and `x-ms-continuation` (dps.md 4.4). `listing` says what is listed: a token of another listing
 * is refused rather than answered with a page that fits nothing.
 */
export function readPageRequest(request: HttpRequest, rule: PagingRule, listing: readonly string[]): PageRequest {
  const limit = readCount(request.header('x-ms-max-item-count'), 'The header x-ms-max-item-count', rule);
  const token = request.header('x-ms-continuation');
  // A client that loops sends an empty token on its first call.
  return { limit: limit ?? rule.usualItems, ...(token ? { after: readToken(token, rule.error, listing) } : {}) };
}

/** A whole number from 1; above the largest page it means the largest page. */
export function readCount(text: string | undefined, name: string, { mostItems, error }: PagingRule): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^[1-9]\d{0,8}$/u.test(text)) throw new ServiceError(error, `${name} must be a whole number from 1.`);
  return Math.min(Number(text), mostItems);
}

/**
 * A bare array with its paging headers in lower case, which the C# client looks up case-sensitively. The continuation
 * stands there only when more follows: any value, even an empty one, makes clients ask again.
 */
export function renderPage<T>(
  page: Page<T>,
  head: { readonly itemType: string; readonly limit: number; readonly listing: readonly string[] },
): HttpAnswer {
  return {
    status: 200,
    headers: {
      'x-ms-item-type': head.itemType,
      'x-ms-max-item-count': String(head.limit),
      ...(page.next === undefined ? {} : { 'x-ms-continuation': renderToken(page.next, head.listing) }),
    },
    body: page.items,
  };
}

const seal = (id: string, listing: readonly string[]): Buffer =>
  createHash('sha256')
    .update(JSON.stringify([...listing, id]))
    .digest()
    .subarray(0, sealBytes);

const sealBytes = 12;

/**
 * The id that was shown last, and a digest that ties it to its listing. It keeps no secret and needs none: whoever may list may
 * begin where they like.
 */
function renderToken(id: string, listing: readonly string[]): string {
  return Buffer.concat([seal(id, listing), Buffer.from(id, 'utf8')]).toString('base64url');
}

function readToken(token: string, error: ErrorName, listing: readonly string[]): string {
  const id = Buffer.from(token, 'base64url').subarray(sealBytes).toString('utf8');
  if (id !== '' && renderToken(id, listing) === token) return id;
  throw new ServiceError(error, 'The header x-ms-continuation is not a token of this query. Begin again without it.');
}
