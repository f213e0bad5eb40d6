import { isJsonObject } from '../../../kernel/json.ts';
import { failure } from '../../exit-code.ts';
import { type Command, defineCommand } from '../../grammar/command.ts';
import { choice } from '../../grammar/option.ts';
import { hubTarget, openHub } from '../hub-options.ts';
import { type IdentityKind, identityPathOf } from './kind.ts';
import { symmetricKeyOf } from './symmetric-key.ts';

export function defineConnectionStringShow({ noun, group, options, example }: IdentityKind): Command {
  return defineCommand({
    name: `${group} connection-string show`,
    summary: `Show the connection string of a ${noun}.`,
    examples: [
      {
        text: 'For an SDK.',
        command: `${group} connection-string show -n hub-local ${example} --query connectionString -o tsv`,
      },
    ],
    options: {
      ...options,
      keyType: choice(['--key-type', '--kt'], ['primary', 'secondary'] as const, `Which key of the ${noun}.`, { defaultText: 'primary' }),
      ...hubTarget,
    },
    async run(values, context) {
      const service = await openHub(values, context);
      const device = await service.send({ method: 'GET', path: identityPathOf(values) });
      const authentication = isJsonObject(device) ? device['authentication'] : undefined;
      if (!isJsonObject(authentication)) throw failure(`The hub answered with something that is not a ${noun}.`);
      const module = values.moduleId === undefined ? '' : `;ModuleId=${values.moduleId}`;
      const who = `HostName=${service.hostName};DeviceId=${values.deviceId}${module}`;
      if (authentication['type'] === 'selfSigned' || authentication['type'] === 'certificateAuthority') {
        return { connectionString: `${who};x509=true` };
      }
      const key = symmetricKeyOf(device, values.keyType);
      if (key === undefined) throw failure(`The ${noun} ${values.moduleId ?? values.deviceId} has no symmetric key.`);
      return { connectionString: `${who};SharedAccessKey=${key}` };
    },
  });
}
