import { createHmac } from 'node:crypto';

import { limits } from '../contracts/limits.ts';
import type { EventWebhook } from '../events/ports.ts';
import type { Clock, Instant, Milliseconds } from '../kernel/clock.ts';
import { createJsonPoster } from './post-json.ts';

/**
 * The webhook for events. Each body is signed, so that its receiver knows it from anybody else's:
 * `x-muster-signature: t=<seconds since 1970>,v1=<hex>`, where `v1` is the HMAC-SHA256 of `<t>.<body>`, keyed with the UTF-8
 * bytes of the secret. `x-muster-event` has the sequence number, by which a receiver knows what it has had before.
 */
export function createEventWebhook({
  url,
  secret,
  clock,
  patience,
}: {
  readonly url: string;
  readonly secret: string;
  readonly clock: Clock;
  readonly patience: Milliseconds;
}): EventWebhook {
  const post = createJsonPoster({ clock, patience, answerBytes: limits.eventAnswerBytes });
  return {
    async send({ sequence, body, signal }) {
      const headers = { 'x-muster-event': String(sequence), 'x-muster-signature': signatureOf(body, { secret, at: clock.now() }) };
      const result = await post({ url, body, headers, signal });
      const { elapsed } = result;
      if (result.kind === 'failed') return { kind: 'failed', detail: result.detail, elapsed };
      const { status } = result;
      return status >= 200 && status <= 299
        ? { kind: 'taken', status, elapsed }
        : { kind: 'failed', detail: `It answered with the status ${status}.`, elapsed };
    },
  };
}

function signatureOf(body: string, { secret, at }: { readonly secret: string; readonly at: Instant }): string {
  const t = Math.floor(at / 1000);
  return `t=${t},v1=${createHmac('sha256', secret).update(`${t}.${body}`, 'utf8').digest('hex')}`;
}
