import { eventKinds } from '../../../contracts/fleet/event.ts';
import type { Json } from '../../../kernel/json.ts';
import { type MusterApi, openMusterApi } from '../../client/muster-api.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { choice, integer, required, text } from '../../grammar/option.ts';

const usualItems = 100;
const top = integer(['--top'], 'At most so many.', { defaultText: String(usualItems) });

export const tripwireList = defineCommand({
  name: 'tripwire list',
  summary: 'List devices that tried to come back after they were shut out; the latest attempt first.',
  details:
    'Counted are the refusals of devices that were once registered, by a block or by a disabled individual enrollment; proven are those that showed its own credential.',
  examples: [
    { text: 'Who keeps trying, and how often.', command: 'tripwire list -o table' },
    { text: 'Those that tried more than a hundred times.', command: 'tripwire list --query "[?attempts>`100`].device" -o tsv' },
  ],
  options: { top },
  run: async (values, context) => await readAll(await openMusterApi(context), '/tripwires?', values.top),
});

export const tripwireShow = defineCommand({
  name: 'tripwire show',
  summary: 'Show what a device did after it was shut out: how often, through which doors, from where.',
  examples: [{ text: 'Show the attempts of a device.', command: 'tripwire show sensor-thl-002' }],
  options: { device: required(text(['--device', '-d'], 'Registration ID, else device ID.', { positional: true })) },
  run: async ({ device }, context) =>
    await (await openMusterApi(context)).send({ method: 'GET', path: `/tripwires/${encodeURIComponent(device)}` }),
});

export const eventList = defineCommand({
  name: 'event list',
  summary: 'List events, the newest first: attempts of devices that are shut out, and denies whose end let devices in.',
  details: 'They are what the webhook of the configuration is sent (eventWebhook), and are kept without one, too.',
  examples: [{ text: 'Which denies were lifted although something else lets their devices in.', command: 'event list --kind readmission' }],
  options: { kind: choice(['--kind'], eventKinds, 'Of this kind only.'), top },
  run: async ({ kind, top: wanted }, context) =>
    await readAll(await openMusterApi(context), `/events?${kind === undefined ? '' : `kind=${kind}&`}`, wanted),
});

/** Pages up to `wanted` items. */
async function readAll(api: MusterApi, path: string, wanted = usualItems): Promise<readonly Json[]> {
  if (wanted < 1) throw usageError('argument --top: must be 1 or more.');
  const found: Json[] = [];
  let next: string | undefined;
  do {
    const page = new URLSearchParams({ top: String(Math.min(wanted - found.length, 1000)), ...(next && { after: next }) });
    const answer = await api.send({ method: 'GET', path: `${path}${page.toString()}` });
    const { items, next: more } = answer as { readonly items: readonly Json[]; readonly next?: string };
    found.push(...items);
    next = more;
  } while (next !== undefined && found.length < wanted);
  return found;
}
