import { provisioningRights } from '../../../contracts/dps/rights.ts';
import type { Json, JsonObject } from '../../../kernel/json.ts';
import type { MusterApi } from '../../client/muster-api.ts';
import { azureOptions } from '../../grammar/global-options.ts';
import { choiceList, flag, required, text } from '../../grammar/option.ts';
import { jsonText } from '../../json-text.ts';
import { expectObject } from '../arm-shapes.ts';
import { dpsNameOption } from '../iot-dps-linked-hub/options.ts';
import { dpsPath } from '../resource-path.ts';

/** What commands about one policy take. */
export const policyTarget = {
  dpsName: dpsNameOption,
  policyName: required(text(['--policy-name', '--pn', '--name', '-n', '--access-policy-name'], 'Name of the shared access policy.')),
  ...azureOptions,
} as const;

export const rightsOption = choiceList(['--rights', '-r'], provisioningRights, 'Access rights, separated by spaces.');

export const noWaitOption = flag(['--no-wait'], 'Accepted for az, and ignored.');

export function policiesPath(dpsName: string, { service }: Pick<MusterApi, 'service'>): string {
  return `${dpsPath(dpsName, service)}/policies`;
}

export function policyPath(values: { readonly dpsName: string; readonly policyName: string }, api: Pick<MusterApi, 'service'>): string {
  return `${policiesPath(values.dpsName, api)}/${encodeURIComponent(values.policyName)}`;
}

/** A policy in the shape that az prints: its rights are one text. */
export function renderPolicy(answer: Json): JsonObject {
  const { keyName, primaryKey, secondaryKey, rights } = expectObject(answer, 'a policy');
  return {
    keyName: keyName ?? null,
    primaryKey: primaryKey ?? null,
    rights: Array.isArray(rights) ? rights.map((right: Json) => jsonText(right)).join(', ') : null,
    secondaryKey: secondaryKey ?? null,
  };
}

/** What `create` and `update` send of what was said. */
export function policyBody(values: {
  readonly rights: readonly string[] | undefined;
  readonly primaryKey: string | undefined;
  readonly secondaryKey: string | undefined;
}): JsonObject {
  const { rights, primaryKey, secondaryKey } = values;
  return {
    ...(rights === undefined ? {} : { rights: [...rights] }),
    ...(primaryKey === undefined ? {} : { primaryKey }),
    ...(secondaryKey === undefined ? {} : { secondaryKey }),
  };
}
