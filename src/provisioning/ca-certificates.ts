import { type Clock, hours, type Instant, plus } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Precondition } from '../kernel/precondition.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { parseCertificate } from '../pki/certificate.ts';
import { verifyProofOfPossession } from '../pki/proof-of-possession.ts';
import { readCaCertificate, readCertificate } from './certificate-upload.ts';
import { requireInstance } from './instances.ts';
import type { CaCertificateRow, CaCertificateStore, ProvisioningStorage, ProvisioningTransaction } from './ports.ts';
import { expectedEtag } from './precondition-etag.ts';
import type { Quotas } from './quotas.ts';
import type { CaCertificateDescription, CaCertificates } from './service.ts';
import { nameEntry } from './trace.ts';

interface CaDependencies {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly quotas: Quotas;
}

/** 48 upper-case hex digits (chapter 5.3). */
const verificationCodeBytes = 24;
/** The key of a CA is often in a safe, and its keeper away; a code that nobody remembers asking for must still end (5.3). */
const verificationCodeLifetime = hours(7 * 24);

const namePattern = /^[A-Za-z0-9._-]{1,256}$/u;

/** CA certificates of an instance: upload, proof of possession, delete. */
export function createCaCertificates(deps: CaDependencies): CaCertificates {
  const { storage, clock, ids } = deps;
  const { caCertificates } = storage.read;

  /** Replaces a certificate by what `change` makes of it, if its entity tag is the expected one. */
  function update(
    instance: string,
    name: string,
    step: { readonly precondition: Precondition; readonly change: Change },
  ): Promise<CaCertificateDescription> {
    return storage.write(async (transaction) => {
      const current = await requireCa(transaction.caCertificates, instance, name);
      checkEtag(current, step.precondition);
      const row = { ...step.change(current), etag: ids.etag(), updatedAt: clock.now() };
      await transaction.caCertificates.replace(row, expectedEtag(step.precondition));
      return describe(row, row.updatedAt);
    });
  }

  return {
    list: async (instance) => (await caCertificates.list(instance)).map((row) => describe(row, clock.now())),
    get: async (instance, name) => describe(await requireCa(caCertificates, instance, name), clock.now()),
    put: (instance, name, upload) => storage.write((transaction) => put(deps, transaction, { instance, name, ...upload })),

    generateVerificationCode: (instance, name, precondition) =>
      update(instance, name, {
        precondition,
        change: (current) => ({
          ...current,
          verificationCode: Buffer.from(ids.bytes(verificationCodeBytes)).toString('hex').toUpperCase(),
          verificationCodeExpiresAt: plus(clock.now(), verificationCodeLifetime),
        }),
      }),

    verify: (instance, name, { certificate, precondition }) =>
      update(instance, name, { precondition, change: (current) => verified(current, certificate, clock) }),

    async delete(instance, name, { precondition, force = false }) {
      await storage.write(async (transaction) => {
        checkEtag(await requireCa(transaction.caCertificates, instance, name), precondition);
        if (!force) await refuseLiftingDenies(transaction, instance, name);
        await transaction.caCertificates.delete(instance, name, expectedEtag(precondition));
      });
    },
  };
}

type Change = (current: CaCertificateRow) => CaCertificateRow;

interface Upload {
  readonly instance: string;
  readonly name: string;
  readonly certificate: string;
  readonly isVerified: boolean;
  readonly precondition: Precondition;
  readonly force?: boolean;
}

async function put(
  { clock, ids, quotas }: CaDependencies,
  transaction: ProvisioningTransaction,
  upload: Upload,
): Promise<CaCertificateDescription> {
  const { caCertificates, instances } = transaction;
  const { name, precondition } = upload;
  const instance = (await requireInstance(instances, upload.instance)).name;
  if (!namePattern.test(name)) throw bad('name is not valid: a CA certificate takes 1 to 256 letters, digits and . _ -.');
  const { der, sha256 } = readCaCertificate('certificate', upload.certificate);
  const at = clock.now();
  const current = await caCertificates.get(instance, name);
  if (current === undefined) {
    // If-Match is ignored when nothing is there to match (5.1).
    await quotas.take('caCertificates', instance, async () => (await caCertificates.list(instance)).length);
    const row = { instance, name, etag: ids.etag(), der, sha256, isVerified: upload.isVerified, createdAt: at, updatedAt: at };
    await caCertificates.insert(row);
    return describe(row, at);
  }
  if (precondition.kind === 'absent') {
    throw new ServiceError(
      'ResourceExists',
      `There is a CA certificate named '${name}' already. Send its entity tag in If-Match to replace it.`,
    );
  }
  // What was proven about one certificate says nothing about the next one.
  const isSame = current.sha256 === sha256;
  checkEtag(current, precondition);
  if (!isSame && upload.force !== true) await refuseLiftingDenies(transaction, instance, name);
  const { isVerified: wasVerified, ...rest } = isSame ? current : withoutCode(current);
  const row = { ...rest, der, sha256, isVerified: upload.isVerified || (isSame && wasVerified), etag: ids.etag(), updatedAt: at };
  await caCertificates.replace(row, expectedEtag(precondition));
  return describe(row, at);
}

/** A disabled group shuts its devices out by the certificate that it names; without it they might get in through another group. */
async function refuseLiftingDenies(
  { enrollments }: Pick<ProvisioningTransaction, 'enrollments'>,
  instance: string,
  name: string,
): Promise<void> {
  const groups = await enrollments.groupsByCaName(instance, [name]);
  const denying = groups.find(({ provisioningStatus }) => provisioningStatus === 'disabled');
  if (denying === undefined) return;
  const sentence = `The disabled ${nameEntry(denying)} refers to this certificate, and without it shuts nobody out any more. Change the group first, or force it.`;
  throw new ServiceError('ResourceInUse', sentence);
}

/** Throws `DpsBadRequest` unless somebody holds the key of the CA. A failed try leaves the code as it is. */
function verified(current: CaCertificateRow, upload: string, clock: Clock): CaCertificateRow {
  const { verificationCode } = current;
  if (verificationCode === undefined) {
    throw bad('No verification code was generated. Generate one, issue a certificate that has it as common name, and send that.');
  }
  if (!isCodeAlive(current, clock.now()))
    throw bad('The verification code has expired. Generate another one, and issue a certificate for that.');
  const proof = readCertificate('certificate', upload);
  const verdict = verifyProofOfPossession({ ca: parseCertificate(current.der), proof, verificationCode, at: clock.now() });
  if (!verdict.ok) throw bad(`certificate does not prove possession of the key. ${verdict.detail}`);
  return { ...withoutCode(current), isVerified: true };
}

function withoutCode({ verificationCode: _code, verificationCodeExpiresAt: _end, ...rest }: CaCertificateRow): CaCertificateRow {
  return rest;
}

function isCodeAlive({ verificationCodeExpiresAt }: CaCertificateRow, now: Instant): boolean {
  return verificationCodeExpiresAt !== undefined && now < verificationCodeExpiresAt;
}

// Before the change is made: a stale caller learns that first, and not what is wrong with a proof for another code.
function checkEtag({ etag }: CaCertificateRow, precondition: Precondition): void {
  if (precondition.kind !== 'etag' || precondition.etag === etag) return;
  throw new ServiceError('DpsPreconditionFailed', 'Precondition failed: the CA certificate was changed since it was read. Read it again.');
}

async function requireCa(caCertificates: CaCertificateStore, instance: string, name: string): Promise<CaCertificateRow> {
  const row = await caCertificates.get(instance, name);
  if (row === undefined) throw new ServiceError('ResourceNotFound', 'There is no CA certificate of this name.');
  return row;
}

function describe(row: CaCertificateRow, now: Instant): CaCertificateDescription {
  const { name, etag, der, isVerified, verificationCode, createdAt, updatedAt } = row;
  const certificate = parseCertificate(der);
  return {
    name,
    etag,
    properties: {
      subject: certificate.subject,
      expiry: new Date(certificate.notAfter).toISOString(),
      thumbprint: certificate.sha1,
      isVerified,
      certificate: Buffer.from(der).toString('base64'),
      created: new Date(createdAt).toISOString(),
      updated: new Date(updatedAt).toISOString(),
      ...(verificationCode === undefined || !isCodeAlive(row, now) ? {} : { verificationCode }),
    },
  };
}

function bad(message: string): ServiceError {
  return new ServiceError('DpsBadRequest', message);
}
