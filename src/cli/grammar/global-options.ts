import { outputFormats } from '../output/render.ts';
import { choice, flag, type Option, type OptionSet, text, uses } from './option.ts';

/** Options that every command takes. */
export const globalOptions = {
  output: choice(['--output', '-o'], outputFormats, 'Output format.', { defaultText: 'json' }),
  query: text(['--query'], 'JMESPath query string that is applied to the result. See http://jmespath.org/ for more.'),
  data: text(['--data', '--data-folder'], 'Data folder of the running service. Default: MUSTER_DATA, else .muster in the home folder.'),
  onlyShowErrors: flag(['--only-show-errors'], 'Only show errors, suppressing warnings.'),
  verbose: flag(['--verbose'], 'Say on standard error what is sent where.'),
  debug: flag(['--debug'], 'The same as --verbose, and the stack of an unexpected error.'),
  subscription: text(['--subscription'], 'Accepted for az, and ignored.', { hidden: true }),
} as const;

/** The global options of a command: a spelling that the command has for itself, as az has `--data`, is the command's. */
export function globalOptionsOf(own: OptionSet): typeof globalOptions {
  const taken = new Set(Object.values(own).flatMap(({ flags }) => flags));
  const entries = Object.entries<Option<unknown>>(globalOptions).map(([name, option]) => {
    const [first, ...others] = option.flags.filter((spelling) => !taken.has(spelling));
    return [name, first === undefined ? option : { ...option, flags: [first, ...others] as const }] as const;
  });
  return Object.fromEntries(entries) as typeof globalOptions;
}

/** What commands of the `iot` group take because az does; a single local service has no use for it. */
export const azureOptions = {
  resourceGroup: text(['--resource-group', '-g'], 'Accepted for az, and ignored.'),
} as const;

export const authTypeOption = choice(
  ['--auth-type'],
  ['key', 'login'] as const,
  'Accepted for az: requests are always signed with a policy key.',
  {
    group: 'Access Control',
  },
);

/** az's generic update arguments. */
export const genericUpdateOptions = {
  set: uses(['--set'], 'Update an object by specifying a property path and value to set, as in --set property1.property2=value.', {
    group: 'Generic Update',
  }),
  add: uses(
    ['--add'],
    'Add an object to a list by specifying a path and key value pairs, as in --add property.list key=value, or a value.',
    {
      group: 'Generic Update',
    },
  ),
  remove: uses(['--remove'], 'Remove a property or an element from a list, as in --remove property.list 0 or --remove property.', {
    group: 'Generic Update',
  }),
  forceString: flag(['--force-string'], 'With --set or --add, keep string literals instead of turning them into JSON.', {
    group: 'Generic Update',
  }),
} as const;
