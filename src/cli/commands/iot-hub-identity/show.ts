import { isJsonObject } from '../../../kernel/json.ts';
import { type Command, defineCommand } from '../../grammar/command.ts';
import { hubTarget, openHub } from '../hub-options.ts';
import { type IdentityKind, identityPathOf } from './kind.ts';

export function defineIdentityShow({ noun, group, options, example }: IdentityKind): Command {
  return defineCommand({
    name: `${group} show`,
    summary: `Get the details of a ${noun} of a hub.`,
    examples: [
      {
        text: `Is the ${noun} connected?`,
        command: `${group} show --hub-name hub-local ${example} --query connectionState -o tsv`,
      },
    ],
    options: { ...options, ...hubTarget },
    async run(values, context) {
      const service = await openHub(values, context);
      const identity = await service.send({ method: 'GET', path: identityPathOf(values) });
      return isJsonObject(identity) ? { ...identity, hub: service.hostName } : identity;
    },
  });
}
