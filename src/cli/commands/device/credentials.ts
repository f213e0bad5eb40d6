import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';

import { toPem } from '../../../pki/pem.ts';
import { codeOf, messageOf } from '../../client/system-error.ts';
import { failure } from '../../exit-code.ts';
import { pemBlocksOf, readCertificateFile, readInput } from '../certificate-file.ts';

export interface DeviceCredentials {
  /** PEM: the leaf and, if the file has them, its issuers. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  readonly commonName: string | undefined;
}

/** Reads what a device proves itself with, and checks before any connection that the two belong together. */
export async function readDeviceCredentials(certificatePath: string, keyPath: string): Promise<DeviceCredentials> {
  const text = await readCertificateFile(certificatePath);
  const isPem = pemBlocksOf(text, certificatePath).length > 0;
  const leaf = parseLeaf(isPem ? text : Buffer.from(text, 'base64'), certificatePath);
  const key = await readInput(keyPath, 'key');
  const privateKey = parseKey(key.toString('utf8'), keyPath);
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

function parseKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    if (codeOf(error) === 'ERR_MISSING_PASSPHRASE' || /encrypted|passphrase|interrupted or cancelled/iu.test(messageOf(error))) {
      throw failure(`The key in ${path} is encrypted. Decrypt it with 'openssl pkey -in ${path} -out FILE', and give that file.`);
    }
    throw failure(`${path} holds no private key. Give the PEM file of the device's private key (${messageOf(error)}).`);
  }
}
