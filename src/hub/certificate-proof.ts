import { timingSafeEqual } from 'node:crypto';
import { assertNever } from '../kernel/assert-never.ts';
import type { Instant } from '../kernel/clock.ts';
import { CertificateFormatError } from '../pki/certificate-format-error.ts';
import { type Certificate, parseCertificate } from '../pki/certificate.ts';
import { verifyPath } from '../pki/verify-path.ts';
import type { DeviceRow, HubTrust } from './ports.ts';
import type { ProofVerdict } from './proof.ts';

/** Beyond these nothing that a device sends can be a chain that anyone issued; reading them is only work. */
const maxSentCertificates = 16;

/** Judges a client certificate against an identity (chapter 2.3). TLS has shown already that the peer holds its key. */
export async function judgeCertificate(request: {
  readonly device: DeviceRow;
  readonly certificates: readonly Uint8Array[];
  readonly trust: HubTrust;
  readonly now: Instant;
}): Promise<ProofVerdict> {
  const { device, now } = request;
  const [leaf, ...chain] = request.certificates.slice(0, maxSentCertificates).map(readCertificate);
  if (leaf === undefined) return { ok: false, reason: 'certificate-unreadable' };
  switch (device.authentication.type) {
    case 'selfSigned':
      return judgeThumbprint(device, leaf, now);
    case 'certificateAuthority':
      return judgeChain(device, { leaf, chain: chain.filter((certificate) => certificate !== undefined), ...request });
    case 'sas':
    case 'none':
      return { ok: false, reason: 'certificate-not-accepted', detail: `the identity authenticates by ${device.authentication.type}` };
    default:
      return assertNever(device.authentication.type);
  }
}

function judgeThumbprint(device: DeviceRow, leaf: Certificate, now: Instant): ProofVerdict {
  const { primaryThumbprint, secondaryThumbprint } = device.authentication;
  const accepted = [primaryThumbprint, secondaryThumbprint].filter((thumbprint) => thumbprint !== undefined);
  // No short cut: every slot is compared with both digests.
  const matches = accepted.flatMap((thumbprint) => [sameText(thumbprint, leaf.sha1), sameText(thumbprint, leaf.sha256)]);
  if (!matches.includes(true)) {
    return {
      ok: false,
      reason: 'thumbprint',
      detail: `Thumbprint: SHA1Hash=${leaf.sha1}, SHA2Hash=${leaf.sha256}; Configuration: PrimaryThumbprint=${primaryThumbprint ?? ''}, SecondaryThumbprint=${secondaryThumbprint ?? ''}`,
    };
  }
  if (now < leaf.notBefore) return { ok: false, reason: 'certificate-not-yet-valid' };
  if (now > leaf.notAfter) return { ok: false, reason: 'certificate-expired' };
  return { ok: true, method: 'x509', scope: 'device' };
}

async function judgeChain(
  device: DeviceRow,
  presented: { readonly leaf: Certificate; readonly chain: readonly Certificate[]; readonly trust: HubTrust; readonly now: Instant },
): Promise<ProofVerdict> {
  const { leaf, chain, trust, now } = presented;
  if (leaf.commonName !== device.deviceId) {
    return { ok: false, reason: 'common-name', detail: `the certificate's common name is ${JSON.stringify(leaf.commonName ?? null)}` };
  }
  const { anchors, intermediates } = await trust.trustedCertificates(device.hub);
  const verdict = verifyPath(leaf, { anchors, intermediates: [...chain, ...intermediates], at: now });
  if (!verdict.ok) return { ok: false, reason: 'chain', detail: `${verdict.reason}: ${verdict.detail}` };
  return { ok: true, method: 'x509', scope: 'device' };
}

function readCertificate(der: Uint8Array): Certificate | undefined {
  try {
    return parseCertificate(der);
  } catch (error) {
    if (error instanceof CertificateFormatError) return undefined;
    throw error;
  }
}

function sameText(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
