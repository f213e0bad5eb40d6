import { randomBytes } from 'node:crypto';

import { type Instant, instant } from '../../../kernel/clock.ts';
import type { IssuedCertificate, Issuer } from '../../../pki/issue.ts';
import type { KeyType } from '../../../pki/issuing-key.ts';
import { CliFailure, exitCodes, usageError } from '../../exit-code.ts';
import { choice, flag, integer, text } from '../../grammar/option.ts';
import { readInput } from '../certificate-file.ts';
import { checkFileName, writePemFiles } from './files.ts';
import { validityOfDays } from './validity.ts';

/** What every certificate is made with. */
export const issueOptions = (days: number) => ({
  out: text(['--out'], 'Folder for the files.', { defaultText: 'the current folder' }),
  days: integer(['--days'], 'How long the certificate is valid.', { defaultText: String(days) }),
  keyType: choice(['--key-type'], ['p256', 'rsa2048', 'rsa4096'] as const, 'Kind of key.', { defaultText: 'p256' }),
  force: flag(['--force'], 'Overwrite files that exist.'),
});

export const nameOptions = {
  name: text(['--name'], 'Base name of the files; the common name as well, unless that is given.'),
  commonName: text(['--common-name'], 'Common name of the certificate.'),
} as const;

const group = 'Issuer';
export const issuerOptions = {
  issuer: text(['--issuer'], 'PEM file with the certificate of the issuer first, and of those above it.', { group }),
  issuerKey: text(['--issuer-key'], 'PEM file with the private key of the issuer.', { group }),
  passphrase: text(['--passphrase'], 'Pass phrase of the private key, if it is encrypted.', { group }),
} as const;

export interface IssueValues {
  readonly out: string | undefined;
  readonly days: number | undefined;
  readonly keyType: KeyType | undefined;
  readonly force: boolean | undefined;
}

/** Validity, key and serial number for a certificate. */
export function basicsOf(
  { days, keyType }: IssueValues,
  defaultDays: number,
): {
  readonly keyType: KeyType;
  readonly notBefore: Instant;
  readonly notAfter: Instant;
  readonly serialBytes: Uint8Array;
} {
  if (days !== undefined && (days < 1 || days > 36_500)) throw usageError('argument --days: must be between 1 and 36500.');
  return { keyType: keyType ?? 'p256', ...validityOfDays(days ?? defaultDays, instant(Date.now())), serialBytes: randomBytes(16) };
}

/** File name and common name; each stands in for the other. */
export function namesOf(
  values: { readonly name: string | undefined; readonly commonName: string | undefined },
  otherwise?: string,
): {
  readonly name: string;
  readonly commonName: string;
} {
  const name = values.name ?? values.commonName ?? otherwise;
  if (name === undefined) throw usageError('the following arguments are required: --name.');
  return { name: checkFileName(name), commonName: values.commonName ?? name };
}

export interface IssuerValues {
  readonly issuer: string | undefined;
  readonly issuerKey: string | undefined;
  readonly passphrase: string | undefined;
}

export async function readIssuer({ issuer, issuerKey, passphrase }: IssuerValues): Promise<Issuer> {
  if (issuer === undefined || issuerKey === undefined) throw usageError('the following arguments are required: --issuer, --issuer-key.');
  return {
    certificatePem: (await readInput(issuer, 'issuer')).toString('utf8'),
    privateKeyPem: (await readInput(issuerKey, 'issuer key')).toString('utf8'),
    ...(passphrase === undefined ? {} : { passphrase }),
  };
}

export interface WrittenCertificate {
  readonly [file: string]: string;
}

/** Writes `<name>.cert.pem`, `<name>.key.pem` and, below an issuer, `<name>.chain.pem`; returns the paths by what they are. */
export async function writeIssued(
  name: string,
  issued: IssuedCertificate,
  values: IssueValues & { readonly chain: boolean },
): Promise<WrittenCertificate> {
  const files = [
    { kind: 'certificate', name: `${name}.cert.pem`, text: issued.certificatePem },
    { kind: 'key', name: `${name}.key.pem`, text: issued.privateKeyPem, secret: true },
    ...(values.chain ? [{ kind: 'chain', name: `${name}.chain.pem`, text: issued.chainPem }] : []),
  ];
  const paths = await writePemFiles(values.out ?? '.', files, { force: values.force ?? false });
  return Object.fromEntries(files.map(({ kind }, at) => [kind, paths[at] ?? '']));
}

/** Runs what issues a certificate; what is wrong with the files of an issuer ends the command with its sentence. */
export async function issuing(work: () => Promise<IssuedCertificate>): Promise<IssuedCertificate> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && error.name === 'CertificateFormatError')
      throw new CliFailure(exitCodes.failure, `The issuer cannot be read. ${error.message}`);
    throw error;
  }
}
