import { describe, expect, test } from 'vitest';

import { commands } from '../../../src/cli/commands/all.ts';
import { groupSummaries } from '../../../src/cli/commands/groups.ts';
import { CliFailure } from '../../../src/cli/exit-code.ts';
import { globalOptionsOf } from '../../../src/cli/grammar/global-options.ts';
import type { Option } from '../../../src/cli/grammar/option.ts';
import { parseArguments, type Request } from '../../../src/cli/grammar/parse.ts';
import { buildTree } from '../../../src/cli/grammar/tree.ts';
import { muster } from './harness.ts';

const root = buildTree(commands, groupSummaries);
const parse = (line: string): Request => parseArguments(root, words(line));

/** Splits like a shell, as far as the examples need it. */
function words(line: string): string[] {
  return [...line.matchAll(/(?:[^\s'"]+|'[^']*'|"[^"]*")+/gu)].map(([word]) => word.replaceAll(/'([^']*)'|"([^"]*)"/gu, '$1$2'));
}

function run(line: string): Request & { kind: 'run' } {
  const request = parse(line);
  return request.kind === 'run' ? request : expect.fail(`${line} asks for help`);
}

function refusal(line: string): CliFailure {
  try {
    parse(line);
  } catch (error) {
    if (error instanceof CliFailure) return error;
    throw error;
  }
  return expect.fail(`${line} was accepted`);
}

const create = 'iot dps enrollment create --dps-name d --enrollment-id e --attestation-type x509';

describe('spellings of az', () => {
  test.each<[string, string, unknown]>([
    ['iot dps enrollment show -n d --eid e', 'id', 'e'],
    ['iot dps enrollment show --dps-name=d --enrollment-id=e', 'dpsName', 'd'],
    ['iot dps enrollment-group show -n d --gid g', 'id', 'g'],
    ['iot dps enrollment-group show -n d --group-id g', 'id', 'g'],
    ['iot dps enrollment-group create -n d --eid g --cn root --scn other', 'secondaryRootCaName', 'other'],
    ['iot dps enrollment-group registration show -n d --rid r', 'id', 'r'],
    [`${create} --cp a.pem --scp b.pem`, 'secondaryCertificatePath', 'b.pem'],
    [`${create} --ps Disabled`, 'provisioningStatus', 'disabled'],
    [`${create} --ap geolatency`, 'allocationPolicy', 'geoLatency'],
    [`${create} --ih a b --iot-hubs c`, 'iotHubs', ['a', 'b', 'c']],
    [`${create} --ee`, 'edgeEnabled', true],
    [`${create} --ee false`, 'edgeEnabled', false],
    [`${create} --device-info {} -d x`, 'deviceInformation', '{}'],
    ['iot dps enrollment create -n d --eid e --at symmetrickey', 'attestationType', 'symmetricKey'],
    ['iot dps enrollment list -n d --top -1', 'top', -1],
    ['iot dps enrollment update -n d --eid e --rc --rsc true', 'removeSecondaryCertificate', true],
    ['iot dps certificate create --dps-name d -n root -p r.pem -v', 'verified', true],
    ['iot hub device-identity create -n h -d x --am x509_thumbprint --ptp A --stp B', 'secondaryThumbprint', 'B'],
    ['iot hub device-identity update -n h -d x --set a=1 b=2 --set c=3', 'set', [['a=1', 'b=2'], ['c=3']]],
    ['iot hub device-identity update -n h -d x --remove a 0 --remove b', 'remove', [['a', '0'], ['b']]],
    ['iot hub monitor-events -n h --props sys app -t 0', 'properties', ['sys', 'app']],
    ['iot hub device-twin replace -n h -d x -j {}', 'json', '{}'],
    ['iot device simulate -n h -d x --mrc 201 --mrp {} --irp {}', 'methodCode', 201],
    ['iot device simulate -l c -d x --mc 5 --mi 2 --proto HTTP --rs abandon', 'protocol', 'http'],
    ['iot device simulate -n h -d x --cp c --kp k --pass p --dtmi m', 'passphrase', 'p'],
    ['iot device send-d2c-message -n h -d x --key k --dfp f --props a=b', 'symmetricKey', 'k'],
    ['iot device c2d-message send -n h -d x --repair -y -w --expiry 1', 'repair', true],
  ])('%s', (line, name, value) => expect(run(line).values[name]).toEqual(value));

  test('a resource group, a subscription and an auth type are taken and do nothing', () => {
    expect(run('iot dps enrollment list -n d -g rg --subscription s --auth-type login').command.path.join(' ')).toBe(
      'iot dps enrollment list',
    );
  });

  test('output and query belong to every command', () => {
    expect(run('iot hub list -o table --query [].name').globals).toMatchObject({ output: 'table', query: '[].name' });
  });

  test("the data folder, too, except where az's own --data is the message", () => {
    expect(run('iot hub list --data folder').globals.data).toBe('folder');
    expect(run('iot hub list --data-folder folder').globals.data).toBe('folder');
    const { values, globals } = run('iot device c2d-message send -d x -n h --data text --data-folder folder');
    expect([values['data'], globals.data]).toEqual(['text', 'folder']);
    expect(run('iot device send-d2c-message -d x -n h --da text').values['data']).toBe('text');
  });
});

describe('refused with exit code 2', () => {
  test.each<[string, string]>([
    ['iot dps enrolment list', "unknown command 'enrolment' (Did you mean enrollment?). 'muster iot dps -h' shows what can be said here."],
    ['iot dps enrollment sho', "unknown command 'sho' (Did you mean show?). 'muster iot dps enrollment -h' shows what can be said here."],
    [
      'iot dps enrollment create -n d',
      "the following arguments are required: --enrollment-id/--eid, --attestation-type/--at. 'muster iot dps enrollment create -h' shows examples.",
    ],
    [`${create} --cp`, 'argument --certificate-path/--cp: expected one argument.'],
    [`${create} --cp --ps disabled`, 'argument --certificate-path/--cp: expected one argument.'],
    [`${create} --iot-hubs --ps disabled`, 'argument --iot-hubs/--ih: expected at least one argument.'],
    [`${create} --ps off`, "argument --provisioning-status/--ps: 'off' is not a valid value. Allowed values: disabled, enabled."],
    [`${create} --ee maybe`, "argument --edge-enabled/--ee: 'maybe' is neither true nor false."],
    ['iot dps enrollment list -n d --top ten', "argument --top: 'ten' is not a whole number."],
    [`${create} --pro x`, 'ambiguous option: --pro could match --provisioning-status, --props.'],
    ['iot dps enrollment show -n d --eid e --verbos2', "unknown option '--verbos2'"],
    ['iot dps enrollment show -n d --eid e stray', 'too many arguments'],
    ['start --https-port 70000', "argument --https-port: '70000' is neither a port (0 to 65535) nor off."],
    ['start --bogus', "unknown option '--bogus'"],
  ])('%s', (line, sentence) => {
    const { exitCode, message } = refusal(line);
    expect(exitCode).toBe(2);
    expect(message).toContain(sentence);
  });
});

describe('help', () => {
  test.each(commands.map((command) => [command.path.join(' '), command] as const))('%s', (name, command) => {
    const request = parse(`${name} -h`);
    if (request.kind !== 'help') expect.fail('this is no help');
    expect(request.text).toContain(`muster ${name} : `);
    for (const option of Object.values<Option<unknown>>(command.options)) {
      if (option.hidden !== true) expect(request.text).toContain(option.flags.join(' '));
    }
    expect(request.text.split('\n').filter((line) => line.length > 100 && line.trim().includes(' '))).toEqual([]);
    expect(command.examples.length).toBeGreaterThan(0);
  });

  test.each(commands.flatMap((command) => command.examples.map((example) => [example.command, command] as const)))(
    'the example can be run: %s',
    (line, command) => expect(run(line).command.path).toEqual(command.path),
  );

  test('no command spells two options alike', () => {
    for (const command of commands) {
      const sets = [command.options, globalOptionsOf(command.options)];
      const flags = sets.flatMap((set) => Object.values<Option<unknown>>(set)).flatMap((option) => option.flags);
      expect(flags.filter((flag, at) => flags.indexOf(flag) !== at)).toEqual([]);
    }
  });

  test.each<[string[], number]>([
    [[], 0],
    [['-h'], 0],
    [['iot', 'dps', '--help'], 0],
    [['iot', 'dps'], 2],
    [['iot', 'dps', 'enrollment', 'create', '-h'], 0],
  ])('%j ends with %i and shows the text', async (argv, code) => {
    const outcome = await muster(argv);
    expect(outcome.code).toBe(code);
    expect(outcome.stdout).toMatch(/^\n(Group|Command)\n {4}muster/u);
  });

  test('the version is that of the package', async () => {
    expect(await muster(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^muster \d+\.\d+\.\d+\n$/u) as string });
  });
});
