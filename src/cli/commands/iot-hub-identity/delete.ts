import { type Command, defineCommand, type Example } from '../../grammar/command.ts';
import { etagOption } from '../dps-options.ts';
import { hubTarget, openHub, quotedEtag } from '../hub-options.ts';
import { type IdentityKind, identityPathOf } from './kind.ts';

export function defineIdentityDelete({ noun, group, options, example }: IdentityKind, more: readonly Example[] = []): Command {
  return defineCommand({
    name: `${group} delete`,
    summary: `Delete a ${noun} of a hub; it loses its live connections at once.`,
    examples: [{ text: `Delete a ${noun}.`, command: `${group} delete --hub-name hub-local ${example}` }, ...more],
    options: { ...options, etag: etagOption, ...hubTarget },
    async run(values, context) {
      const service = await openHub(values, context);
      await service.send({ method: 'DELETE', path: identityPathOf(values), ifMatch: quotedEtag(values.etag) });
      return undefined;
    },
  });
}
