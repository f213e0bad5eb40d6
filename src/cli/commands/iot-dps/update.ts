import { isDeepStrictEqual } from 'node:util';

import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import { usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { azureOptions, genericUpdateOptions } from '../../grammar/global-options.ts';
import { flag, required, text } from '../../grammar/option.ts';
import { jsonText } from '../../json-text.ts';
import { expectObject, renderDps } from '../arm-shapes.ts';
import { applyGenericUpdate, hasGenericUpdate } from '../generic-update.ts';
import { dpsPath } from '../resource-path.ts';

export const dpsUpdate = defineCommand({
  name: 'iot dps update',
  summary: 'Change the IP filter or the allocation policy of a provisioning service.',
  details:
    'IP filter rules are tried in order; the first whose ipMask holds the address of a device or an operator decides, and without one it is let in. Target is all, serviceApi or deviceApi. 0.0.0.0/0 is everybody, also over IPv6.',
  examples: [
    {
      text: 'Let devices in from one network only.',
      command:
        'iot dps update -n dps-local --add properties.ipFilterRules filterName=plant action=Accept ipMask=10.0.0.0/8 target=deviceApi --add properties.ipFilterRules filterName=rest action=Reject ipMask=0.0.0.0/0 target=deviceApi',
    },
    { text: 'Remove the first rule.', command: 'iot dps update -n dps-local --remove properties.ipFilterRules 0' },
    { text: 'Change the allocation policy.', command: 'iot dps update -n dps-local --set properties.allocationPolicy=GeoLatency' },
  ],
  options: {
    name: required(text(['--name', '-n', '--dps-name'], 'Name of the provisioning service.')),
    noWait: flag(['--no-wait'], 'Accepted for az, and ignored.'),
    ...genericUpdateOptions,
    ...azureOptions,
  },
  async run({ name, ...values }, context) {
    if (!hasGenericUpdate(values)) throw usageError('Nothing to change: use --set, --add or --remove.');
    const api = await openMusterApi(context);
    const path = dpsPath(name, api.service);
    const current = expectObject(await api.send({ method: 'GET', path }), 'a provisioning service');
    const before = renderDps(current);
    const body = changeOf(before, applyGenericUpdate(before, values));
    return renderDps(await api.send({ method: 'PATCH', path, body, ifMatch: jsonText(current['etag']) }));
  },
});

const changeable: readonly string[] = ['ipFilterRules', 'allocationPolicy'];

/** What differs, in the words of Muster's API. Throws a usage error when something else was changed, rather than drop it. */
function changeOf(before: JsonObject, after: JsonObject): JsonObject {
  const [old, next] = [membersOf(before), membersOf(after)];
  const names = [...new Set([...Object.keys(old), ...Object.keys(next)])].filter((name) => !isDeepStrictEqual(old[name], next[name]));
  const { properties: _before, ...restBefore } = before;
  const { properties: _after, ...restAfter } = after;
  if (!isDeepStrictEqual(restBefore, restAfter) || names.some((name) => !changeable.includes(name))) {
    throw usageError(
      `Only properties.${changeable.join(' and properties.')} can be changed here. Linked hubs, policies and certificates have commands of their own.`,
    );
  }
  return Object.fromEntries(names.map((name) => [name, readValue(name, next[name])]));
}

const membersOf = ({ properties }: JsonObject): JsonObject => (isJsonObject(properties) ? properties : {});

/** The control plane writes policies with a capital, the rest of the service without. A list that was removed is empty. */
function readValue(name: string, value: Json | undefined): Json {
  if (name === 'ipFilterRules') return value ?? [];
  return typeof value === 'string' ? value.charAt(0).toLowerCase() + value.slice(1) : (value ?? null);
}
