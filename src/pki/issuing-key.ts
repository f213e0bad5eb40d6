import { createPrivateKey, createPublicKey, type KeyObject, webcrypto } from 'node:crypto';

import { ServiceError } from '../kernel/service-error.ts';
import { toPem } from './pem.ts';

/** Kinds of key that are made here. Issuers may also bring P-384, P-521 and Ed25519 keys made elsewhere. */
export type KeyType = 'p256' | 'rsa2048' | 'rsa4096';

type Parameters = webcrypto.EcKeyImportParams | webcrypto.RsaHashedImportParams | webcrypto.Algorithm;

/** A private key ready to sign certificates. */
export interface IssuingKey {
  readonly key: webcrypto.CryptoKey;
  readonly algorithm: webcrypto.EcdsaParams | webcrypto.Algorithm;
}

const rsaParameters = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const;
const publicExponent = new Uint8Array([1, 0, 1]);

/** Makes a key pair; RSA ones take up to seconds, off the main thread. */
export async function generateKeyPair(type: KeyType): Promise<webcrypto.CryptoKeyPair> {
  const usages = ['sign', 'verify'] as const;
  if (type === 'p256') return webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, usages);
  const modulusLength = type === 'rsa2048' ? 2048 : 4096;
  return webcrypto.subtle.generateKey({ ...rsaParameters, modulusLength, publicExponent }, true, usages);
}

/** Writes a private key as unencrypted PKCS#8. */
export async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return toPem(new Uint8Array(await webcrypto.subtle.exportKey('pkcs8', key)), 'PRIVATE KEY');
}

/**
 * Reads a private key in any PEM form that OpenSSL writes, encrypted ones with their pass phrase. Throws
 * `ServiceError` ArgumentInvalid for keys that cannot be read or cannot sign certificates.
 */
export function readPrivateKey(pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    // OpenSSL's own words are about its decoders; what a person can mend is the file or the pass phrase.
    const detail = error instanceof Error ? error.message : String(error);
    const message =
      passphrase === undefined
        ? 'The private key of the issuer cannot be read, or is encrypted.'
        : 'The private key of the issuer cannot be read with this pass phrase.';
    throw new ServiceError('ArgumentInvalid', message, { detail });
  }
}

/** Turns a private key into one that Web Crypto signs with. */
export async function toIssuingKey(key: KeyObject): Promise<IssuingKey> {
  const pkcs8 = key.export({ format: 'der', type: 'pkcs8' });
  const { importParameters, algorithm } = signingParameters(key);
  return { key: await webcrypto.subtle.importKey('pkcs8', pkcs8, importParameters, false, ['sign']), algorithm };
}

/** Public half as SubjectPublicKeyInfo, to be compared with the one in a certificate. */
export function publicKeyDer(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: 'der', type: 'spki' });
}

const ecdsaByCurve: Readonly<Record<string, { readonly namedCurve: string; readonly hash: string }>> = {
  prime256v1: { namedCurve: 'P-256', hash: 'SHA-256' },
  secp384r1: { namedCurve: 'P-384', hash: 'SHA-384' },
  secp521r1: { namedCurve: 'P-521', hash: 'SHA-512' },
};

function signingParameters(key: KeyObject): { importParameters: Parameters; algorithm: IssuingKey['algorithm'] } {
  if (key.asymmetricKeyType === 'rsa') return { importParameters: rsaParameters, algorithm: rsaParameters };
  if (key.asymmetricKeyType === 'ed25519') return { importParameters: { name: 'Ed25519' }, algorithm: { name: 'Ed25519' } };
  const curve = ecdsaByCurve[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (key.asymmetricKeyType !== 'ec' || curve === undefined) {
    throw new ServiceError(
      'ArgumentInvalid',
      'The private key of the issuer is of a kind that cannot sign certificates here. Use RSA, a NIST curve or Ed25519.',
    );
  }
  const algorithm = { name: 'ECDSA', hash: curve.hash };
  return { importParameters: { name: 'ECDSA', namedCurve: curve.namedCurve }, algorithm };
}
