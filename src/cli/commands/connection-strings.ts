import { renderConnectionString } from '../../contracts/connection-string.ts';
import type { Json } from '../../kernel/json.ts';
import type { MusterApi } from '../client/muster-api.ts';
import { withPort } from '../client/targets.ts';
import { notFound } from '../exit-code.ts';
import { choice, flag, text } from '../grammar/option.ts';
import { expectList, expectObject } from './arm-shapes.ts';
import { jsonText } from '../json-text.ts';

/** What both `connection-string show` commands take. */
export const connectionStringOptions = {
  keyType: choice(['--key-type', '--kt'], ['primary', 'secondary'] as const, 'Which key of the policy.', { defaultText: 'primary' }),
  showAll: flag(['--show-all', '--all'], 'Show the connection strings of all policies.'),
} as const;

export const policyOption = (policy: string) => text(['--policy-name', '--pn'], 'Shared access policy to use.', { defaultText: policy });

export interface PolicyChoice {
  readonly policyName: string;
  readonly keyType: 'primary' | 'secondary' | undefined;
  readonly showAll: boolean | undefined;
}

/**
 * The connection string of a resource under `/dps` or `/hubs` as az prints it: one, or those of all policies. A port
 * other than 443 is written down, so that az and muster find the door.
 */
export async function readConnectionString(api: MusterApi, path: string, choice: PolicyChoice): Promise<Json> {
  const { hostName } = expectObject(await api.send({ method: 'GET', path }), 'a resource with a host name');
  const policies = expectList(await api.send({ method: 'GET', path: `${path}/policies` })).map((policy) =>
    expectObject(policy, 'a policy'),
  );
  const render = (policy: (typeof policies)[number]): string =>
    renderConnectionString(
      withPort(
        {
          hostName: jsonText(hostName),
          sharedAccessKeyName: jsonText(policy['keyName']),
          sharedAccessKey: jsonText(policy[choice.keyType === 'secondary' ? 'secondaryKey' : 'primaryKey']),
        },
        api.service,
      ),
    );
  if (choice.showAll === true) return policies.map(render);
  const wanted = policies.find((policy) => jsonText(policy['keyName']).toLowerCase() === choice.policyName.toLowerCase());
  if (wanted !== undefined) return render(wanted);
  const names = policies.map((policy) => jsonText(policy['keyName'])).join(', ');
  throw notFound(`There is no shared access policy '${choice.policyName}'. There is: ${names}.`);
}
