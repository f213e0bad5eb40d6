import { ServiceError } from '../kernel/service-error.ts';
import type { Certificate } from '../pki/certificate.ts';
import { CertificateFormatError } from '../pki/certificate-format-error.ts';
import { parseCertificateUpload } from '../pki/upload.ts';

/** Reads the one certificate of an upload. `field` names it as the wire does. Throws `DpsBadRequest` with a sentence that says what to do. */
export function readCertificate(field: string, text: string): Certificate {
  const [certificate, ...others] = parse(field, text);
  if (certificate === undefined || others.length > 0) {
    // Guessing which one is meant could trust a root, or block nobody.
    throw new ServiceError(
      'DpsBadRequest',
      `${field} holds ${others.length + 1} certificates. Send the one that is meant, without its chain.`,
    );
  }
  return certificate;
}

/** As `readCertificate`, for one that has to issue others. */
export function readCaCertificate(field: string, text: string): Certificate {
  const certificate = readCertificate(field, text);
  if (certificate.isCa) return certificate;
  const why =
    certificate.version === 3 ? 'its basicConstraints do not say CA:TRUE' : `it is an X.509 version ${certificate.version} certificate`;
  throw new ServiceError('DpsBadRequest', `${field} is not a CA certificate: ${why}. Send the certificate of the root or intermediate CA.`);
}

function parse(field: string, text: string): readonly Certificate[] {
  try {
    return parseCertificateUpload(text);
  } catch (error) {
    if (error instanceof CertificateFormatError) throw new ServiceError('DpsBadRequest', `${field} cannot be read. ${error.message}`);
    throw error;
  }
}
