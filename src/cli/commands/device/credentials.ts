import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';

import { toPem } from '../../../pki/pem.ts';
import { codeOf, messageOf } from '../../client/system-error.ts';
import type { DeviceDoor } from '../../device/door.ts';
import { failure, usageError } from '../../exit-code.ts';
import { pemBlocksOf, readCertificateFile, readInput } from '../certificate-file.ts';

interface DeviceCredentials {
  /** PEM: the leaf and, if the file has them, its issuers. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  readonly commonName: string | undefined;
}

/** What a device proves itself with, as its door takes it. */
export type DeviceProof = Pick<DeviceDoor, 'certificate' | 'key' | 'symmetricKey' | 'keyName'> & {
  readonly commonName?: string | undefined;
};

/** A certificate with its key, or a symmetric key. Throws a usage error for both and for neither. */
export async function readProof(given: {
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly symmetricKey: string | undefined;
  /** Of the key of the certificate. */
  readonly passphrase?: string | undefined;
}): Promise<DeviceProof> {
  const { certificate, key, symmetricKey } = given;
  const byCertificate = certificate !== undefined || key !== undefined;
  if (byCertificate && symmetricKey !== undefined) throw usageError('Give either a certificate with its key or a symmetric key, not both.');
  if (symmetricKey !== undefined) return { symmetricKey: checkedKey(symmetricKey) };
  if (certificate !== undefined && key !== undefined) return await readDeviceCredentials(certificate, key, given.passphrase);
  throw usageError('Give the certificate of the device and its private key, or its symmetric key.');
}

/** A key that is not base64 would sign, too, and be refused without a word of why. */
function checkedKey(symmetricKey: string): string {
  const bytes = Buffer.from(symmetricKey, 'base64');
  if (bytes.length > 0 && bytes.toString('base64') === symmetricKey) return symmetricKey;
  throw usageError('argument --symmetric-key: this is not base64. Give the key as the enrollment shows it.');
}

/** Reads what a device proves itself with, and checks before any connection that the two belong together. */
async function readDeviceCredentials(certificatePath: string, keyPath: string, passphrase: string | undefined): Promise<DeviceCredentials> {
  const text = await readCertificateFile(certificatePath);
  const isPem = pemBlocksOf(text, certificatePath).length > 0;
  const leaf = parseLeaf(isPem ? text : Buffer.from(text, 'base64'), certificatePath);
  const key = await readInput(keyPath, 'key');
  const privateKey = parseKey(key.toString('utf8'), keyPath, passphrase);
  if (!leaf.checkPrivateKey(privateKey)) {
    throw failure(`The key in ${keyPath} does not belong to the certificate in ${certificatePath}. Give the key that was made with it.`);
  }
  return {
    certificate: isPem ? text : toPem(leaf.raw),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    commonName: leaf.subject
      .split('\n')
      .find((part) => part.startsWith('CN='))
      ?.slice(3),
  };
}

function parseLeaf(certificate: string | Buffer, path: string): X509Certificate {
  try {
    return new X509Certificate(certificate);
  } catch (error) {
    throw failure(`${path} holds no certificate. Give the PEM or DER file of the device's certificate (${messageOf(error)}).`);
  }
}

function parseKey(pem: string, path: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
  } catch (error) {
    if (passphrase !== undefined) throw failure(`${path} holds no private key that the pass phrase opens (${messageOf(error)}).`);
    if (codeOf(error) === 'ERR_MISSING_PASSPHRASE' || /encrypted|passphrase|interrupted or cancelled/iu.test(messageOf(error))) {
      throw failure(`The key in ${path} is encrypted. Decrypt it with 'openssl pkey -in ${path} -out FILE', and give that file.`);
    }
    throw failure(`${path} holds no private key. Give the PEM file of the device's private key (${messageOf(error)}).`);
  }
}
