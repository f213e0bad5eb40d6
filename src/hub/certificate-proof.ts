import { timingSafeEqual } from 'node:crypto';
import { assertNever } from '../kernel/assert-never.ts';
import type { Instant } from '../kernel/clock.ts';
import type { Certificate } from '../pki/certificate.ts';
import { verifyPath } from '../pki/verify-path.ts';
import type { DeviceRow, HubTrust } from './ports.ts';
import type { ProofVerdict } from './proof.ts';
import type { ShownChain } from './shown.ts';
import { authorityStamp, thumbprintStamp } from './stamps.ts';

/** Judges a client certificate against an identity (chapter 2.3). TLS has shown already that the peer holds its key. */
export async function judgeCertificate(request: {
  readonly device: DeviceRow;
  readonly shown: ShownChain;
  readonly trust: HubTrust;
  readonly now: Instant;
}): Promise<ProofVerdict> {
  const { device, shown, trust, now } = request;
  switch (device.authentication.type) {
    case 'selfSigned':
      return judgeThumbprint(device, shown.leaf, now);
    case 'certificateAuthority':
      return judgeChain(device, { leaf: shown.leaf, chain: shown.others, trust, now });
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
  // Both digests: whoever replaces the one by the other in the identity still means this certificate.
  const stamps = [leaf.sha1, leaf.sha256].map((thumbprint) => thumbprintStamp(device, thumbprint));
  return { ok: true, method: 'x509', scope: 'device', stamps };
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
  return { ok: true, method: 'x509', scope: 'device', stamps: [authorityStamp(device)] };
}

function sameText(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
