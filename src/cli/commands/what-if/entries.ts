import type { JsonObject } from '../../../kernel/json.ts';
import { usageError } from '../../exit-code.ts';
import { type Command, defineLiveCommand } from '../../grammar/command.ts';
import { flag, required, text } from '../../grammar/option.ts';
import { readJsonObject } from '../json-argument.ts';
import { askWhatIf, dpsNameOption, questionOptions } from './ask.ts';

/** The same question about an individual enrollment and a group. */
function aboutEntry(kind: 'enrollment' | 'group', words: string): Command {
  return defineLiveCommand({
    name: `what-if ${kind}`,
    summary: `Show which devices would be let in or shut out if ${words} changed.`,
    examples: [
      { text: 'Before it is deleted.', command: `what-if ${kind} thermostats --delete` },
      { text: 'Before it is disabled, about two devices.', command: `what-if ${kind} thermostats --disable -d sensor-1 sensor-2` },
      { text: 'Before it is written, as the body of the service API has it.', command: `what-if ${kind} thermostats --body ./entry.json` },
    ],
    options: {
      id: required(text(['--enrollment-id', '--eid', '--id'], `ID of ${words}.`, { positional: true })),
      enable: flag(['--enable'], 'If it was enabled.'),
      disable: flag(['--disable'], 'If it was disabled.'),
      delete: flag(['--delete'], 'If it was deleted.'),
      body: text(['--body'], 'If it was written with this: JSON, or a file of it.'),
      ...dpsNameOption,
      ...questionOptions,
    },
    async run({ id, body, dpsName, ...values }, context) {
      const actions = (['enable', 'disable', 'delete'] as const).filter((action) => values[action] === true);
      const [action = 'put', another] = actions;
      if (another !== undefined || (action === 'put') === (body === undefined))
        throw usageError('Say what would be done: one of --enable, --disable, --delete and --body.');
      const change: JsonObject = {
        kind,
        action,
        id,
        ...(body === undefined ? {} : { body: await readJsonObject(body, '--body') }),
        ...(dpsName === undefined ? {} : { instance: dpsName }),
      };
      return await askWhatIf(change, values, context);
    },
  });
}

export const whatIfEnrollment = aboutEntry('enrollment', 'an individual enrollment');
export const whatIfGroup = aboutEntry('group', 'an enrollment group');
