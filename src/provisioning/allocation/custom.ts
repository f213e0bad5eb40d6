import { readAllocationResponse } from '../../contracts/dps/allocation.ts';
import { printable } from '../../pki/printable.ts';
import type { LinkedHubRow, WebhookResult } from '../ports.ts';
import type { Allocation, AllocationMethod } from './allocation.ts';
import { noHub } from './no-hub.ts';
import { maskWebhookUrl, renderExchange } from './webhook.ts';

/** Asks the webhook of the enrollment (chapter 3.6). Not a policy for a whole instance, since only enrollments have webhooks. */
export const custom: AllocationMethod = {
  policy: 'custom',
  allocate: ({ entry, candidates, conversation }) => {
    const definition = entry.customAllocationDefinition;
    if (definition === undefined) {
      return failed(
        'Custom allocation failed: the enrollment names no webhook.',
        'The policy is custom, but the enrollment has no webhook.',
      );
    }
    if (candidates.length === 0) return noHub('No hub is linked that the webhook could choose. Link one.');
    // Changed while another webhook was being asked: that answer is worth nothing.
    if (conversation?.webhookUrl !== definition.webhookUrl) {
      return { ask: definition, hubs: candidates.map(({ hostName }) => hostName) };
    }
    const allocation = judge(conversation.result, candidates, maskWebhookUrl(definition.webhookUrl));
    return { ...allocation, exchange: renderExchange(conversation) };
  },
};

/** What devices are told when no status came back; why exactly is in the trace. */
const failures = {
  unreachable: 'the webhook could not be reached.',
  'timed-out': 'the webhook did not answer in time.',
  'broken-off': 'the webhook broke off its answer.',
  'too-large': 'the answer of the webhook is too large.',
  stopped: 'the call was stopped.',
} as const;

function judge(result: WebhookResult, candidates: readonly LinkedHubRow[], url: string): Allocation {
  if (result.kind === 'failed') return failed(`Custom allocation failed: ${failures[result.reason]}`, `${url}: ${result.detail}`);
  const { status, body } = result;
  if (status < 200 || status > 299) {
    // Azure's words; a redirect is not followed, so that an answer is always the one of the URL that the operator chose.
    return failed(`Custom allocation failed with status code: ${status}`, `The webhook ${url} answered with status ${status}.`);
  }
  const answer = readAllocationResponse(body);
  if (!answer.ok) {
    return failed('Custom allocation failed: the answer of the webhook is not valid.', `The webhook ${url} answered, but ${answer.fault}`);
  }
  const { iotHubHostName: chosen, ...rest } = answer.response;
  const hub = candidates.find(({ hostName }) => hostName.toLowerCase() === chosen.toLowerCase());
  if (hub === undefined) {
    const note = `The webhook ${url} chose ${printable(chosen)}, which is not one of the linked hubs that it was given.`;
    return failed('Custom allocation failed: the webhook chose an IoT hub that is not linked.', note);
  }
  return { ok: true, hubHostName: hub.hostName, note: `The webhook ${url} chose ${hub.hostName}.`, ...rest };
}

function failed(errorMessage: string, note: string): Allocation {
  return { ok: false, errorCode: 400207, errorMessage, note };
}
