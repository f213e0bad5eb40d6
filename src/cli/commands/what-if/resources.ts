import type { JsonObject } from '../../../kernel/json.ts';
import { usageError } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';
import { flag, integer, required, text } from '../../grammar/option.ts';
import { readCertificateFile, readInput } from '../certificate-file.ts';
import { askWhatIf, dpsNameOption, questionOptions } from './ask.ts';

const inService = (dpsName: string | undefined): JsonObject => (dpsName === undefined ? {} : { instance: dpsName });

export const whatIfCertificate = defineLiveCommand({
  name: 'what-if certificate',
  summary: 'Show which devices would be let in or shut out if a CA certificate changed.',
  examples: [
    { text: 'Before it is deleted.', command: 'what-if certificate thl-root --delete' },
    { text: 'Before the next one takes its place.', command: 'what-if certificate thl-root --certificate ./next-root.pem --verified' },
  ],
  options: {
    name: required(text(['--certificate-name', '--name'], 'Name of the certificate.', { positional: true })),
    delete: flag(['--delete'], 'If it was deleted.'),
    verify: flag(['--verify'], 'If it was verified.'),
    certificate: text(['--certificate', '--cp', '--certificate-path'], 'If this certificate was uploaded under that name, PEM or DER.'),
    verified: flag(['--verified'], 'With --certificate: as verified.'),
    ...dpsNameOption,
    ...questionOptions,
  },
  async run({ name, certificate, verified, dpsName, ...values }, context) {
    const places = [values.delete, values.verify, certificate].filter((given) => given !== undefined && given !== false);
    if (places.length !== 1) throw usageError('Say what would be done: one of --delete, --verify and --certificate.');
    if (verified === true && certificate === undefined) throw usageError('argument --verified: goes with --certificate.');
    const action = certificate === undefined ? (values.delete === true ? 'delete' : 'verify') : 'put';
    const upload = certificate === undefined ? {} : { certificate: await readCertificateFile(certificate), isVerified: verified === true };
    return await askWhatIf({ kind: 'certificate', action, name, ...upload, ...inService(dpsName) }, values, context);
  },
});

export const whatIfHub = defineLiveCommand({
  name: 'what-if hub',
  summary: 'Show which devices would go elsewhere if a hub was linked or unlinked.',
  examples: [
    { text: 'Before it is unlinked.', command: 'what-if hub hub-a.azure-devices.localhost --unlink' },
    { text: 'Before it gets more devices.', command: 'what-if hub hub-b.azure-devices.localhost --link --weight 3' },
  ],
  options: {
    host: required(text(['--host-name', '--host'], 'Host name of the hub.', { positional: true })),
    link: flag(['--link'], 'If it was linked, or linked anew.'),
    unlink: flag(['--unlink'], 'If its link was taken away.'),
    weight: integer(['--allocation-weight', '--weight'], 'Weight of the link.', { defaultText: '1' }),
    apply: flag(['--apply-allocation-policy', '--aap'], 'Whether the link takes part in the allocation policy.', { defaultText: 'true' }),
    ...dpsNameOption,
    ...questionOptions,
  },
  async run({ host, link, unlink, weight, apply, dpsName, ...values }, context) {
    if ((link === true) === (unlink === true)) throw usageError('Say what would be done: one of --link and --unlink.');
    if (unlink === true && (weight !== undefined || apply !== undefined))
      throw usageError('--allocation-weight and --apply-allocation-policy go with --link.');
    const how = { applyAllocationPolicy: apply !== false, allocationWeight: weight ?? 1 };
    const change = { kind: 'hub', action: link === true ? 'link' : 'unlink', hostName: host, ...(link === true ? how : {}) };
    return await askWhatIf({ ...change, ...inService(dpsName) }, values, context);
  },
});

export const whatIfList = defineLiveCommand({
  name: 'what-if list',
  summary: 'Show which devices would be shut out if the certificates of a list were blocked.',
  details:
    'The list is a revocation list (CRL, PEM or DER), certificates in PEM, or a text with a line for each: the SHA-256 of a certificate, or its serial number and the name of its issuer. A revocation list is checked against the CA certificates that are known.',
  examples: [{ text: 'Before the revocation list of a CA is heeded.', command: 'what-if list ./intermediate.crl' }],
  options: { file: required(text(['--file', '-f'], 'File of the list.', { positional: true })), ...questionOptions },
  async run({ file, ...values }, context) {
    const bytes = await readInput(file, 'list');
    const content = bytes.toString('utf8');
    const isText = Buffer.from(content, 'utf8').equals(bytes);
    if (content.includes('PRIVATE KEY-----')) throw usageError(`${file} holds a private key. Nothing was sent.`);
    return await askWhatIf({ kind: 'list', ...(isText ? { text: content } : { der: bytes.toString('base64') }) }, values, context);
  },
});

export const whatIfBlock = defineLiveCommand({
  name: 'what-if block',
  summary: 'Show which devices would be let in again if a block was lifted.',
  examples: [{ text: 'Before it is lifted.', command: 'what-if block block-0mi3x9k2a-1f2e3d4c' }],
  options: { block: required(text(['--block', '--id'], 'Id of the block.', { positional: true })), ...questionOptions },
  run: async ({ block, ...values }, context) => await askWhatIf({ kind: 'block', action: 'lift', id: block }, values, context),
});
