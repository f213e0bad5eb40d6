import type { Certificate } from '../../pki/certificate.ts';
import type { AdmissionQuestion } from '../../provisioning/attestation/attestation.ts';
import { verifyPresented } from '../../provisioning/attestation/trust-pool.ts';
import { isoTime } from '../iso-time.ts';
import type { Chain, ChainLink } from '../../contracts/fleet/explanation.ts';

/** Draws the chain of what was presented, as admission validates it; `undefined` without a certificate. */
export function drawChain(question: AdmissionQuestion): Chain | undefined {
  const verdict = verifyPresented(question);
  if (verdict === undefined) return undefined;
  if (verdict.ok)
    return { trusted: true, links: verdict.path.map((certificate, at) => link(certificate, at, { question, path: verdict.path })) };
  const { path, reason, detail, certificate: broken } = verdict;
  const links = path.map((certificate, at) => {
    const drawn = link(certificate, at, { question, path: [] });
    return certificate.sha256 === broken.sha256 ? { ...drawn, problem: { reason, sentence: detail } } : drawn;
  });
  if (reason !== 'issuer-not-found') return { trusted: false, links };
  const { authorityKeyId } = broken;
  return {
    trusted: false,
    links,
    missingIssuer: { name: broken.issuer, ...(authorityKeyId === undefined ? {} : { keyId: authorityKeyId }) },
  };
}

interface Drawing {
  readonly question: AdmissionQuestion;
  /** The whole path, when it leads to an anchor. */
  readonly path: readonly Certificate[];
}

function link(certificate: Certificate, at: number, { question, path }: Drawing): ChainLink {
  const { subject, issuer, sha256, notBefore, notAfter } = certificate;
  const isAnchor = path.length > 0 && at === path.length - 1;
  const from = sourcesOf(certificate, question);
  const dates = { notBefore: isoTime(notBefore), notAfter: isoTime(notAfter) };
  return { role: isAnchor ? 'anchor' : at === 0 ? 'leaf' : 'issuer', subject, issuer, sha256, ...dates, from };
}

function sourcesOf({ sha256 }: Certificate, { presented, trust }: AdmissionQuestion): readonly string[] {
  const sent = presented.kind === 'x509' && [presented.leaf, ...presented.sent].some((shown) => shown.sha256 === sha256);
  const uploaded = trust.caCertificates.filter(({ certificate }) => certificate.sha256 === sha256);
  return [
    ...(sent ? ['presented'] : []),
    ...uploaded.map(({ name, isVerified }) => `CA certificate '${name}', ${isVerified ? 'verified' : 'not verified'}`),
    ...(trust.signingCertificates.some((signing) => signing.sha256 === sha256) ? ['in line in an enrollment group'] : []),
  ];
}
