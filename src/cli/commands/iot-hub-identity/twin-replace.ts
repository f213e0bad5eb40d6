import { type Command, defineCommand } from '../../grammar/command.ts';
import { required, text } from '../../grammar/option.ts';
import { etagOption } from '../dps-options.ts';
import { hubTarget, openHub, quotedEtag } from '../hub-options.ts';
import { readJsonObject } from '../json-argument.ts';
import { type IdentityKind, twinPathOf } from './kind.ts';

export function defineTwinReplace({ noun, twinGroup, options, example }: IdentityKind): Command {
  return defineCommand({
    name: `${twinGroup} replace`,
    summary: `Replace the desired properties and tags of a ${noun}.`,
    examples: [
      {
        text: 'Replace the twin with what is in a file.',
        command: `${twinGroup} replace --hub-name hub-local ${example} --json ./twin.json`,
      },
    ],
    options: {
      ...options,
      json: required(text(['--json', '-j'], 'The new twin: JSON, or the path of a file.')),
      etag: etagOption,
      ...hubTarget,
    },
    async run(values, context) {
      const body = await readJsonObject(values.json, '--json');
      const service = await openHub(values, context);
      return service.send({ method: 'PUT', path: twinPathOf(values), body, ifMatch: quotedEtag(values.etag) });
    },
  });
}
