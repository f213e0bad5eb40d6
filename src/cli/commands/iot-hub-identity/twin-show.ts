import { type Command, defineCommand } from '../../grammar/command.ts';
import { hubTarget, openHub } from '../hub-options.ts';
import { type IdentityKind, twinPathOf } from './kind.ts';

export function defineTwinShow({ noun, twinGroup, options, example }: IdentityKind): Command {
  return defineCommand({
    name: `${twinGroup} show`,
    summary: `Get the twin of a ${noun}.`,
    examples: [
      {
        text: `What did the ${noun} report last?`,
        command: `${twinGroup} show --hub-name hub-local ${example} --query properties.reported`,
      },
    ],
    options: { ...options, ...hubTarget },
    async run(values, context) {
      const service = await openHub(values, context);
      return service.send({ method: 'GET', path: twinPathOf(values) });
    },
  });
}
