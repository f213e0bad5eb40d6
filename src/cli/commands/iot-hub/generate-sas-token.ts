import { openMusterApi } from '../../client/muster-api.ts';
import { signToken } from '../../client/sas-token.ts';
import { findHubConnection } from '../../client/targets.ts';
import { parseConnectionString } from '../../../contracts/connection-string.ts';
import { identityPath, resourceOf } from '../../../contracts/hub/identity-path.ts';
import { failure, usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { choice, integer, text } from '../../grammar/option.ts';
import { readConnectionString } from '../connection-strings.ts';
import { hubTarget, openHub } from '../hub-options.ts';
import { type IdentityTarget, identityPathOf } from '../iot-hub-identity/kind.ts';
import { symmetricKeyOf } from '../iot-hub-identity/symmetric-key.ts';
import { jsonText } from '../../json-text.ts';
import { hubPath } from '../resource-path.ts';

const defaultPolicy = 'iothubowner';

export const generateSasToken = defineCommand({
  name: 'iot hub generate-sas-token',
  summary: 'Generate a SAS token for a hub, a device or a module.',
  examples: [
    { text: 'For a service, with a policy.', command: 'iot hub generate-sas-token -n hub-local --policy-name service --duration 600' },
    { text: 'For a device, with its own key.', command: 'iot hub generate-sas-token -n hub-local -d device-001 --query sas -o tsv' },
  ],
  options: {
    deviceId: text(['--device-id', '-d'], 'Device whose key signs.'),
    moduleId: text(['--module-id', '-m'], 'Module of the device whose key signs.'),
    policyName: text(['--policy-name', '--pn'], 'Shared access policy whose key signs.', { defaultText: defaultPolicy }),
    keyType: choice(['--key-type', '--kt'], ['primary', 'secondary'] as const, 'Which key signs.', { defaultText: 'primary' }),
    duration: integer(['--duration', '--du'], 'Seconds for which the token is good.', { defaultText: '3600' }),
    connectionString: text(['--connection-string', '--cs'], 'Connection string with the key that signs; nothing is asked then.'),
    ...hubTarget,
  },
  async run(values, context) {
    const { duration: seconds = 3600 } = values;
    if (seconds < 1) throw usageError('argument --duration/--du: must be 1 or more.');
    const order = await (values.connectionString === undefined ? orderOf() : orderOfText(values.connectionString));
    return { sas: signToken({ ...order, seconds }, Date.now()) };

    async function orderOf() {
      const { deviceId, moduleId } = values;
      if (deviceId !== undefined) return identityOrder({ deviceId, ...(moduleId === undefined ? {} : { moduleId }) });
      if (moduleId !== undefined) throw usageError('--module-id needs the --device-id of the device that has the module.');
      const choiceOfHub = { name: values.hubName, login: values.login };
      const { connection } = await findHubConnection(choiceOfHub, context);
      const policyName = values.policyName ?? connection.sharedAccessKeyName;
      const owned = values.keyType !== 'secondary' && policyName === connection.sharedAccessKeyName;
      if (owned) return policyOrder(connection);
      if (values.hubName === undefined || values.login !== undefined) {
        throw usageError('A connection string holds one key. Give --hub-name for another policy or the secondary key.');
      }
      const api = await openMusterApi(context);
      const policy = { policyName, keyType: values.keyType, showAll: undefined };
      return policyOrder(parseConnectionString(jsonText(await readConnectionString(api, hubPath(values.hubName, api.service), policy))));
    }

    async function identityOrder(target: IdentityTarget) {
      const service = await openHub(values, context);
      const key = symmetricKeyOf(await service.send({ method: 'GET', path: identityPathOf(target) }), values.keyType);
      const path = identityPath(target);
      if (key === undefined) throw failure(`${path} has no symmetric key to sign with.`);
      return { resource: `${service.hostName}/devices/${resourceOf(path)}`, key };
    }
  },
});

function policyOrder({ hostName, sharedAccessKey: key, sharedAccessKeyName: keyName }: ReturnType<typeof parseConnectionString>) {
  return { resource: hostName.replace(/:\d+$/u, ''), key, keyName };
}

/** The connection string of a device or module, or a policy's. */
async function orderOfText(given: string) {
  const deviceId = /(?:^|;)\s*DeviceId=([^;]+)/iu.exec(given)?.[1];
  const moduleId = /(?:^|;)\s*ModuleId=([^;]+)/iu.exec(given)?.[1];
  const host = /(?:^|;)\s*HostName=([^;]+)/iu.exec(given)?.[1];
  const key = /(?:^|;)\s*SharedAccessKey=([^;]+)/iu.exec(given)?.[1];
  if (deviceId === undefined) return policyOrder(parseConnectionString(given));
  if (host === undefined || key === undefined) {
    throw usageError('The connection string of a device must read HostName=…;DeviceId=…;SharedAccessKey=….');
  }
  return { resource: `${host}/devices/${resourceOf(identityPath({ deviceId, ...(moduleId === undefined ? {} : { moduleId }) }))}`, key };
}
