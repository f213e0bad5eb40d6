import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { failure, usageError } from '../../exit-code.ts';
import { type Command, defineCommand } from '../../grammar/command.ts';
import { genericUpdateOptions } from '../../grammar/global-options.ts';
import { text } from '../../grammar/option.ts';
import { etagOption } from '../dps-options.ts';
import { objectAt } from '../enrollment-body.ts';
import { applyGenericUpdate, hasGenericUpdate } from '../generic-update.ts';
import { hubTarget, openHub, quotedEtag } from '../hub-options.ts';
import { readJsonObject } from '../json-argument.ts';
import { type IdentityKind, twinPathOf } from './kind.ts';

const group = 'Twin Patch';

export function defineTwinUpdate({ noun, twinGroup, options, example }: IdentityKind): Command {
  return defineCommand({
    name: `${twinGroup} update`,
    summary: `Update the desired properties and tags of a ${noun}.`,
    details:
      '--desired and --tags are merged into the twin; null removes a property. --set, --add and --remove change a copy of the twin, which then replaces it.',
    examples: [
      {
        text: 'Change one desired property.',
        command: `${twinGroup} update --hub-name hub-local ${example} --desired '{"interval":30}'`,
      },
      { text: 'Remove a tag.', command: `${twinGroup} update -n hub-local ${example} --tags '{"site":null}'` },
      {
        text: 'Set a tag with a property assignment.',
        command: `${twinGroup} update -n hub-local ${example} --set tags.site=thl`,
      },
    ],
    options: {
      ...options,
      desired: text(['--desired'], 'Desired properties to merge: JSON, or the path of a file.', { group }),
      tags: text(['--tags'], 'Tags to merge: JSON, or the path of a file.', { group }),
      etag: etagOption,
      ...genericUpdateOptions,
      ...hubTarget,
    },
    async run(values, context) {
      const patches = values.desired !== undefined || values.tags !== undefined;
      if (patches && hasGenericUpdate(values)) throw usageError('--desired and --tags cannot be combined with --set, --add or --remove.');
      if (!patches && !hasGenericUpdate(values)) throw usageError('Say what to update: --desired, --tags, --set, --add or --remove.');
      const service = await openHub(values, context);
      const path = twinPathOf(values);
      const ifMatch = quotedEtag(values.etag);
      if (patches) {
        const body: JsonObject = {
          ...(values.desired === undefined ? {} : { properties: { desired: await readJsonObject(values.desired, '--desired') } }),
          ...(values.tags === undefined ? {} : { tags: await readJsonObject(values.tags, '--tags') }),
        };
        return service.send({ method: 'PATCH', path, body, ifMatch });
      }
      const twin = await service.send({ method: 'GET', path });
      if (!isJsonObject(twin)) throw failure('The hub answered with something that is not a twin.');
      return service.send({ method: 'PUT', path, body: replaceable(applyGenericUpdate(twin, values)), ifMatch });
    },
  });
}

/** The parts of a twin that an operator owns, without what the hub computes. */
function replaceable(twin: JsonObject): JsonObject {
  const desired = Object.entries(objectAt(objectAt(twin, 'properties'), 'desired')).filter(([name]) => !name.startsWith('$'));
  const tags: Json = objectAt(twin, 'tags');
  return { tags, properties: { desired: Object.fromEntries(desired) } };
}
