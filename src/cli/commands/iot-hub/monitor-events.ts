import { stringify } from 'yaml';

import { parseConnectionString } from '../../../contracts/connection-string.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { readEventStream } from '../../client/event-stream.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import { explainConnection } from '../../client/system-error.ts';
import type { CommandContext } from '../../context.ts';
import { exitCodes, failure, usageError } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { choiceList, flag, integer, text } from '../../grammar/option.ts';
import { hubTarget, openHub } from '../hub-options.ts';
import { hubPath } from '../resource-path.ts';
import { type MonitoredMessage, parseMonitored, renderEvent, wildcard } from './monitored-message.ts';
import { jsonText } from '../../json-text.ts';

const ignored = 'Accepted for az, and ignored.';

export const hubMonitorEvents = defineLiveCommand({
  name: 'iot hub monitor-events',
  summary: 'Show telemetry and events of a hub as they arrive.',
  examples: [
    { text: 'Watch everything that arrives at a hub.', command: 'iot hub monitor-events --hub-name hub-local' },
    {
      text: 'Watch some devices, with all properties, without ever stopping.',
      command: "iot hub monitor-events -n hub-local -d 'sensor-*' --props all --timeout 0",
    },
    {
      text: 'Show what was stored before, and stop after ten messages.',
      command: 'iot hub monitor-events -n hub-local --enqueued-time 0 --message-count 10',
    },
  ],
  options: {
    deviceId: text(['--device-id', '-d'], 'Target device ID; * and ? stand for any characters and any one.'),
    properties: choiceList(
      ['--properties', '--props', '-p'],
      ['all', 'anno', 'app', 'sys'] as const,
      'Message properties to show besides the payload.',
    ),
    contentType: text(['--content-type', '--ct'], 'Content type to assume for the payload, as application/json.'),
    timeout: integer(['--timeout', '--to', '-t'], 'Maximum seconds to wait without receiving a message. Use 0 for infinity.', {
      defaultText: '300',
    }),
    enqueuedTime: integer(
      ['--enqueued-time', '--et', '-e'],
      'Start with messages of this time, in milliseconds since the epoch. Default: now.',
    ),
    messageCount: integer(['--message-count', '--mc'], 'Stop after so many messages.'),
    deviceQuery: text(['--device-query', '-q'], 'Query that selects the devices to show.'),
    moduleId: text(['--module-id', '-m'], ignored),
    interface: text(['--interface', '-i'], 'Show messages of this interface (dt-dataschema) only.'),
    consumerGroup: text(['--consumer-group', '--cg', '-c'], ignored),
    yes: flag(['--yes', '-y'], ignored),
    repair: flag(['--repair', '-r'], ignored),
    ...hubTarget,
  },
  async run(values, context) {
    const timeoutSeconds = values.timeout ?? 300;
    if (timeoutSeconds < 0) throw usageError('argument --timeout: must be 0 or more.');
    if (values.messageCount !== undefined && values.messageCount < 1) throw usageError('argument --message-count: must be 1 or more.');
    const devices = values.deviceQuery === undefined ? undefined : await queriedDevices(values.deviceQuery, values, context);
    const shown = (message: MonitoredMessage): boolean =>
      (values.deviceId === undefined || wildcard(values.deviceId).test(message.deviceId)) &&
      (devices === undefined || devices.has(message.deviceId)) &&
      (values.interface === undefined || message.systemProperties['dt-dataschema'] === values.interface) &&
      (values.enqueuedTime === undefined || message.enqueuedAt >= values.enqueuedTime);
    context.notice(startNotice(values.deviceId));
    const options = { properties: values.properties ?? [], contentType: values.contentType };
    return follow(await eventsPath(values, context), context, {
      timeoutSeconds,
      count: values.messageCount,
      show: (message) => shown(message) && (context.print(renderMessage(renderEvent(message, options), context)), true),
    });
  },
});

interface Following {
  readonly timeoutSeconds: number;
  readonly count: number | undefined;
  /** Whether the message was one to show. */
  readonly show: (message: MonitoredMessage) => boolean;
}

async function follow(path: string, context: CommandContext, { timeoutSeconds, count, show }: Following): Promise<number> {
  const api = await openMusterApi(context);
  const stream = await api.follow(path);
  let timedOut = false;
  let left = count ?? Number.POSITIVE_INFINITY;
  const stop = (): void => {
    timedOut = true;
    stream.destroy();
  };
  stream.socket.setTimeout(0);
  let timer = timeoutSeconds === 0 ? undefined : setTimeout(stop, timeoutSeconds * 1000);
  try {
    for await (const data of readEventStream(stream)) {
      const message = parseMonitored(data);
      timer = timer?.refresh();
      if (show(message)) left -= 1;
      if (left <= 0) return exitCodes.ok;
    }
  } catch (error) {
    if (!timedOut) throw failure(explainConnection(error, api.service.endpoints.api.url));
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
  if (timedOut) return exitCodes.ok;
  throw failure('The service ended the stream of events. Start the command again when the service is back.');
}

async function eventsPath(
  {
    hubName,
    login,
    enqueuedTime,
    deviceId,
  }: {
    readonly hubName: string | undefined;
    readonly login: string | undefined;
    readonly enqueuedTime: number | undefined;
    readonly deviceId: string | undefined;
  },
  context: CommandContext,
): Promise<string> {
  const name = login === undefined ? hubName : parseConnectionString(login).hostName.replace(/:\d+$/u, '');
  if (name === undefined) throw usageError('the following arguments are required: --hub-name/-n or --login/-l.');
  const { service } = await openMusterApi(context);
  const query = new URLSearchParams();
  if (enqueuedTime !== undefined) query.set('after', '0');
  if (deviceId !== undefined && !/[*?]/u.test(deviceId)) query.set('deviceId', deviceId);
  return `${hubPath(name, service)}/events${query.size === 0 ? '' : `?${query.toString()}`}`;
}

async function queriedDevices(
  query: string,
  values: { readonly hubName: string | undefined; readonly login: string | undefined },
  context: CommandContext,
): Promise<ReadonlySet<string>> {
  const service = await openHub(values, context);
  const found = await service.query({ method: 'POST', path: '/devices/query', body: { query } });
  return new Set(found.filter(isJsonObject).map((device) => jsonText(device['deviceId'])));
}

function startNotice(deviceId: string | undefined): string {
  return `Starting event monitor,${deviceId === undefined ? '' : ` filtering on device: ${deviceId},`} use ctrl-c to stop...`;
}

function renderMessage(event: JsonObject, context: CommandContext): string {
  const value: Json = event;
  return context.output === 'json' ? JSON.stringify(value, undefined, 4) : stringify(value, { lineWidth: 0 }).trimEnd();
}
