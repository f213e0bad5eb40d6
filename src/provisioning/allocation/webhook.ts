import type { AllocationRequest } from '../../contracts/dps/allocation.ts';
import type { WebhookResult } from '../ports.ts';

/** One call of a webhook: what it was asked, and what came of it. */
export interface WebhookConversation {
  /** With its query string. */
  readonly webhookUrl: string;
  readonly request: AllocationRequest;
  readonly result: WebhookResult;
}

/** The same as it is kept in a trace: the query string masked, both texts cut. */
export interface WebhookExchange {
  readonly webhookUrl: string;
  readonly elapsedMilliseconds: number;
  readonly request: string;
  readonly status?: number;
  readonly response?: string;
  readonly failure?: string;
}

/** Of each text, so that traces stay small: a hundred thousand of them are kept. */
const keptCharacters = 2048;

/** A webhook's URL as it is shown: its query string is what it knows the service by (chapter 3.6). */
export function maskWebhookUrl(url: string): string {
  const at = url.indexOf('?');
  return at < 0 ? url : `${url.slice(0, at)}?****`;
}

/** Who answers for it. Operations wait in one line for each. */
export function webhookOrigin(url: string): string {
  return new URL(url).origin;
}

export function renderExchange({ webhookUrl, request, result }: WebhookConversation): WebhookExchange {
  return {
    webhookUrl: maskWebhookUrl(webhookUrl),
    elapsedMilliseconds: result.elapsed,
    request: cut(JSON.stringify(request)),
    ...(result.kind === 'answered'
      ? { status: result.status, response: cut(result.body) }
      : { failure: `${result.reason}: ${result.detail}` }),
  };
}

function cut(text: string): string {
  return text.length <= keptCharacters ? text : `${text.slice(0, keptCharacters)}… (${text.length} characters)`;
}
