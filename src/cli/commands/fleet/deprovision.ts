import type { Receipt } from '../../../contracts/fleet/receipt.ts';
import type { Json, JsonObject } from '../../../kernel/json.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import type { CommandContext } from '../../context.ts';
import { exitCodes, usageError } from '../../exit-code.ts';
import { type Command, defineLiveCommand } from '../../grammar/command.ts';
import { choiceList, flag, required, text } from '../../grammar/option.ts';
import { createPage } from '../../output/page.ts';
import { readInput } from '../certificate-file.ts';
import { readProof, type DeviceProof } from '../device/credentials.ts';
import { certificateFileOf, deviceArgument, readDevice } from './device-argument.ts';
import { moment } from './moment.ts';
import { showReceipt } from './receipt-page.ts';
import { followRun } from './run.ts';
import { tryTheWire } from './wire-proof.ts';

const many = { group: 'Many Devices' } as const;
const how = { group: 'Block' } as const;

const options = {
  ...deviceArgument,
  reason: required(text(['--reason', '-r'], 'Why; kept with the block and the receipt.')),
  ticket: text(['--ticket'], 'Ticket or case that it belongs to.'),
  by: choiceList(
    ['--by'],
    ['id', 'key', 'leaf', 'serial', 'subject'] as const,
    'What the block names, so that a certificate that is issued again does not slip past. Default: id and key, or id and leaf when others share the key.',
  ),
  expires: moment(['--expires'], 'When the block ends by itself.'),
  keepIdentity: flag(['--keep-identity'], 'Leave the identities at the hubs as they are; the block alone refuses.', how),
  disable: flag(['--disable'], 'Disable the identities instead of removing them.', how),
  evenIfUnknown: flag(['--even-if-unknown'], 'Block an id that nothing is known of.', how),
  key: text(['--key'], 'Private key of the device (with --certificate): every door is tried over the wire, too.'),
  dryRun: flag(['--dry-run'], 'Go through everything, show it, and write nothing.'),
  file: text(['--file', '-f'], 'File with a device id, registration id or thumbprint per line.', many),
  enrollmentGroup: text(['--group'], 'Every device that this enrollment group provisioned.', many),
  queryCommand: text(
    ['--query-command', '-q'],
    "Every device that a query finds: SELECT * FROM enrollments WHERE provisioningStatus = 'disabled'; FROM enrollmentGroups means what they provisioned, FROM registrations the records of both. (--query is the JMESPath of every command.)",
    many,
  ),
  dpsName: text(['--dps-name', '-n'], 'With --group or --query-command: of this provisioning service only.', many),
} as const;

/** One command per verb; what they do differs by `mode` alone. */
function verb(name: string, mode: 'revoke' | 'retire', words: { readonly summary: string; readonly details: string }): Command {
  return defineLiveCommand({
    name,
    ...words,
    examples: [
      { text: 'Shut one device out, whatever is known of it.', command: `${name} sensor-thl-002 --reason stolen --ticket OPS-12` },
      { text: 'See first what would happen.', command: `${name} sensor-thl-002 --reason stolen --dry-run` },
      { text: 'Shut out many, with progress; go on after a crash by itself.', command: `${name} --file lost.txt --reason recall` },
      {
        text: 'See what would become of all that a query finds.',
        command: `${name} -q "SELECT * FROM registrations WHERE assignedHub = 'old.example.org'" --reason moved --dry-run`,
      },
    ],
    options,
    async run(values, context) {
      const device = await readDevice(values);
      const places = [device, values.file, values.enrollmentGroup, values.queryCommand].filter((given) => given !== undefined);
      if (places.length !== 1)
        throw usageError('Name one device, or many with --file, --group or --query-command (--query is the JMESPath of every command).');
      if (values.dpsName !== undefined && values.enrollmentGroup === undefined && values.queryCommand === undefined)
        throw usageError('--dps-name goes with --group or --query-command.');
      if (device === undefined && values.evenIfUnknown === true) throw usageError('--even-if-unknown is about one device. Name it.');
      if (values.keepIdentity === true && values.disable === true) throw usageError('--keep-identity and --disable exclude each other.');
      const identity = values.keepIdentity === true ? 'keep' : values.disable === true ? 'disable' : 'remove';
      const terms: JsonObject = {
        mode,
        identity,
        reason: values.reason,
        ...(values.ticket === undefined ? {} : { ticket: values.ticket }),
        ...(values.by === undefined ? {} : { by: values.by }),
        ...(values.expires === undefined ? {} : { expiresAt: values.expires }),
      };
      // Looked at before anything is done: a slip in what proves the outcome must not come after it.
      const proof = await readOwnProof(values);
      if (device === undefined) return await shutOutMany(terms, values, context);
      const dryRun = values.dryRun === true;
      const body = { ...terms, device, dryRun, evenIfUnknown: values.evenIfUnknown === true };
      const api = await openMusterApi(context);
      const answer = await api.send({ method: 'POST', path: '/deprovision', body });
      const receipt = answer as unknown as Receipt;
      const tried = proof === undefined || dryRun ? [] : await tryTheWire(receipt, proof, context);
      const complete: Receipt = tried.length === 0 ? receipt : { ...receipt, proof: [...(receipt.proof ?? []), ...tried] };
      if (context.isForProgram) context.show(complete as unknown as Json);
      else showReceipt(complete, createPage(context.print, context.environment));
      return complete.proof?.some(({ verdict, evaluated }) => evaluated === 'wire' && verdict === 'let-in') === true
        ? exitCodes.failure
        : exitCodes.ok;
    },
  });
}

/** What the doors are tried with. Throws when the key does not belong to the certificate that names the device. */
async function readOwnProof(values: {
  readonly key: string | undefined;
  readonly device: string | undefined;
  readonly certificate: string | undefined;
}): Promise<DeviceProof | undefined> {
  const { key } = values;
  if (key === undefined) return undefined;
  const certificate = certificateFileOf(values);
  if (certificate === undefined) throw usageError('--key needs the certificate that belongs to it: name the device by the file of it.');
  return await readProof({ certificate, key, symmetricKey: undefined });
}

interface ManyDevices {
  readonly file: string | undefined;
  readonly enrollmentGroup: string | undefined;
  readonly queryCommand: string | undefined;
  readonly dpsName: string | undefined;
  readonly dryRun: boolean | undefined;
}

async function shutOutMany(terms: JsonObject, many: ManyDevices, context: CommandContext): Promise<number> {
  const api = await openMusterApi(context);
  const body = { ...terms, ...(await targetsOf(many)), dryRun: many.dryRun === true };
  return await followRun(api, await api.send({ method: 'POST', path: '/runs', body }), context);
}

async function targetsOf({ file, enrollmentGroup: group, queryCommand: query, dpsName: instance }: ManyDevices): Promise<JsonObject> {
  if (file !== undefined) return { devices: readLines(await readInput(file, 'list')) };
  return {
    ...(group === undefined ? {} : { group }),
    ...(query === undefined ? {} : { query }),
    ...(instance === undefined ? {} : { instance }),
  };
}

/** Blank lines and comments are for people. */
function readLines(bytes: Buffer): readonly string[] {
  return bytes
    .toString('utf8')
    .split(/\r?\n/u)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

const revokeDetails =
  'Finds its enrollment, chain, registration record and identities on every hub, writes a block, removes the identities and closes the record, in one transaction; then cuts its sessions and tries every door. What is needed to take it back is kept: see reinstate.';

export const deprovision = verb('deprovision', 'revoke', {
  summary: 'Shut a device out, everywhere and at once, with a receipt.',
  details: revokeDetails,
});

export const revoke = verb('revoke', 'revoke', {
  summary: 'Another word for deprovision: shut a device out in silence.',
  details: revokeDetails,
});

export const retire = verb('retire', 'retire', {
  summary: 'Shut a device out for good: erase its twin, what is queued for it, and its telemetry.',
  details: 'As deprovision, but nothing is kept of it. Reinstating lets it register anew, with a fresh identity and twin.',
});
