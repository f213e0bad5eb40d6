import type { Certificate } from '../../pki/certificate.ts';
import { nameOf } from '../../pki/printable.ts';
import { verifyPath, type PathFailure, type PathVerdict } from '../../pki/verify-path.ts';
import type { EnrollmentRow } from '../ports.ts';
import { entryStep, nameEntry, pathStep, type TraceStep } from '../trace.ts';
import type { AdmissionQuestion, Attestation, GroupJudgement, Judgement, KnownCa, RefusalMessage } from './attestation.ts';
import { issuerLevels, vouchedFor } from './issuer-levels.ts';
import { trustPool, verifyPathThrough, verifyPresented } from './trust-pool.ts';

/** Attestation with a certificate: by its thumbprint for one device, by its issuers for a group. */
export const x509: Attestation = {
  type: 'x509',
  judgeIndividual,
  isTrusted: (question) => verifyPresented(question)?.ok === true,
  canJudgeGroups: ({ presented }) => presented.kind === 'x509',
  judgeGroups,
};

/** Whether an entry names this leaf as primary or secondary client certificate, in whatever way its signature is written. */
export function holdsLeaf({ attestation }: EnrollmentRow, leaf: Certificate): boolean {
  if (attestation.type !== 'x509' || attestation.form !== 'clientCertificates') return false;
  return [attestation.primary, attestation.secondary].some((slot) => slot?.tbsSha256 === leaf.tbsSha256);
}

function judgeIndividual(entry: EnrollmentRow, question: AdmissionQuestion): Judgement {
  const { presented } = question;
  if (presented.kind !== 'x509') {
    return no('Unauthorized', 'credential-mismatch', `The ${nameEntry(entry)} asks for a certificate, and none was presented.`);
  }
  if (entry.attestation.type === 'x509' && entry.attestation.form === 'caReferences') return judgeReferences(entry, question);
  if (!holdsLeaf(entry, presented.leaf)) {
    const sentence = `The ${nameEntry(entry)} names other certificates than the ${nameOf(presented.leaf)} that was presented.`;
    return no('Unauthorized', 'credential-mismatch', sentence);
  }
  // The thumbprint vouches for everything but the date (2.3): a self-signed leaf has no path, and needs none.
  const self = verifyPath(presented.leaf, { intermediates: [], anchors: [presented.leaf], at: question.at });
  if (!self.ok && (self.reason === 'expired' || self.reason === 'not-yet-valid'))
    return no('Invalid certificate', self.reason, self.detail);
  const sentence = `The ${nameEntry(entry)} holds the ${nameOf(presented.leaf)} that was presented.`;
  return { ok: true, reason: 'thumbprint', sentence, proof: { type: 'x509', path: [presented.leaf] } };
}

/** An individual enrollment that refers to a CA: the leaf must have been issued below it, and be named after the device. */
function judgeReferences(entry: EnrollmentRow, question: AdmissionQuestion): Judgement {
  const tried = certificatesNamedBy(entry, question).map((named) => judgeNamed(entry, named, question));
  const won = tried.find((judgement) => judgement.ok);
  return won ?? tried[0] ?? no('CA certificate not found', 'dangling-reference', danglingSentence(entry));
}

function judgeGroups(question: AdmissionQuestion): GroupJudgement {
  const { presented } = question;
  const verdict = verifyPresented(question);
  if (presented.kind !== 'x509' || verdict === undefined) throw new Error('groups were asked about without a certificate');
  const steps: TraceStep[] = [pathStep(verdict)];
  if (!verdict.ok) {
    return { steps, decision: { kind: 'refuse', message: messageFor(verdict.reason), detail: verdict.detail } };
  }
  const { stored } = trustPool(question);
  const levels = issuerLevels(presented.leaf, [...stored, ...vouchedFor(presented.sent, stored)]);
  steps.push(...unrelatedGroups(question, levels));
  for (const { entry, named, level } of rankGroups(question, levels)) {
    const judgement = judgeGroup(entry, { named, level, verdict }, question);
    steps.push(judgement.step);
    if (judgement.decision !== undefined) return { steps, decision: judgement.decision };
  }
  const detail = 'The certificate is trusted, but no enrollment group names one of its issuers, and no individual enrollment names it.';
  return { steps, decision: { kind: 'refuse', message: 'Unauthorized', detail } };
}

interface NamedCertificate {
  readonly certificate: Certificate;
  /** When the entry refers to it by the name of a CA certificate. */
  readonly ca?: KnownCa;
}

interface RankedGroup {
  readonly entry: EnrollmentRow;
  readonly named: NamedCertificate;
  readonly level: number;
}

/** Nearest issuer first (2.4 step 4). At the same distance deny wins, then the id decides, so that the order never depends on a store. */
function rankGroups(question: GroupOrder, levels: ReadonlyMap<string, number>): readonly RankedGroup[] {
  const ranked = question.groups.flatMap((entry) =>
    certificatesNamedBy(entry, question).flatMap((named): readonly RankedGroup[] => {
      const level = levels.get(named.certificate.sha256);
      return level === undefined ? [] : [{ entry, named, level }];
    }),
  );
  const isEnabled = ({ entry }: RankedGroup): number => (entry.provisioningStatus === 'enabled' ? 1 : 0);
  return ranked.toSorted((a, b) => a.level - b.level || isEnabled(a) - isEnabled(b) || (a.entry.id < b.entry.id ? -1 : 1));
}

/** What of a question the order of groups depends on. */
type GroupOrder = Pick<AdmissionQuestion, 'groups' | 'trust'>;

/** The certificates that a group names, and the names under which the same ones were uploaded. */
export function namesOfSame(
  entry: EnrollmentRow,
  { trust }: Pick<AdmissionQuestion, 'trust'>,
): { readonly sha256s: readonly string[]; readonly caNames: readonly string[] } {
  const sha256s = certificatesNamedBy(entry, { trust }).map(({ certificate }) => certificate.sha256);
  return { sha256s, caNames: trust.caCertificates.filter((ca) => sha256s.includes(ca.certificate.sha256)).map(({ name }) => name) };
}

/** Of the groups that name the same certificate, the one that decides about what was issued below it; for each certificate. */
export function groupBefore(sha256s: readonly string[], order: GroupOrder): readonly (EnrollmentRow | undefined)[] {
  return sha256s.map((sha256) => rankGroups(order, new Map([[sha256, 1]])).find(mayDecide)?.entry);
}

/** An enabled group that refers to a CA certificate which nobody verified lets the next one decide. */
function mayDecide({ entry, named: { ca } }: Pick<RankedGroup, 'entry' | 'named'>): boolean {
  return entry.provisioningStatus === 'disabled' || ca?.isVerified !== false;
}

interface Found extends Omit<RankedGroup, 'entry'> {
  readonly verdict: Extract<PathVerdict, { ok: true }>;
}

function judgeGroup(
  entry: EnrollmentRow,
  { named, level, verdict }: Found,
  question: AdmissionQuestion,
): { readonly step: TraceStep; readonly decision?: GroupJudgement['decision'] } {
  const where = `names the ${nameOf(named.certificate)}, issuer ${level} above the device`;
  // A deny holds for every certificate that the issuer's key signed, also while the CA named is unverified or expired.
  if (entry.provisioningStatus === 'disabled') {
    const sentence = `The ${nameEntry(entry)} ${where}, and is disabled.`;
    return { step: entryStep(entry, { outcome: 'decided', reason: 'disabled', sentence }), decision: { kind: 'disabled', entry } };
  }
  const onPath = verdict.path.slice(1).some(({ sha256 }) => sha256 === named.certificate.sha256);
  const judgement: Judgement = judgeNamed(entry, { ...named, ...(onPath ? { path: verdict.path } : {}) }, question);
  if (judgement.ok !== true) return { step: entryStep(entry, { outcome: 'lost', reason: judgement.reason, sentence: judgement.sentence }) };
  return {
    step: entryStep(entry, { outcome: 'decided', reason: 'issuer', sentence: `The ${nameEntry(entry)} ${where}.` }),
    decision: { kind: 'admit', entry, proof: judgement.proof },
  };
}

/** Whether the leaf is trusted because of a certificate that an enabled entry names. `path`: it is on this valid one. */
function judgeNamed(
  entry: EnrollmentRow,
  { certificate, ca, path }: NamedCertificate & { readonly path?: readonly Certificate[] },
  question: AdmissionQuestion,
): Judgement {
  if (ca?.isVerified === false) {
    const sentence = `The ${nameEntry(entry)} refers to the CA certificate '${ca.name}', which is not verified. Verify it by proof of possession.`;
    return no('CA certificate not found', 'ca-not-verified', sentence);
  }
  if (path !== undefined) return { ok: true, reason: 'issuer', sentence: '', proof: { type: 'x509', path } };
  const verdict = verifyPathThrough(certificate, question);
  if (verdict === undefined) throw new Error('a path was asked for without a certificate');
  if (!verdict.ok) {
    const sentence = `No valid path leads through the certificate that the ${nameEntry(entry)} names. ${verdict.detail}`;
    return no(messageFor(verdict.reason), verdict.reason, sentence);
  }
  const sentence = `The ${nameEntry(entry)} refers to the ${nameOf(certificate)}, which stands above the one presented.`;
  return { ok: true, reason: 'issuer', sentence, proof: { type: 'x509', path: verdict.path } };
}

/** Groups that were looked up but name nothing that issued the leaf; said, so that nobody has to wonder about them. */
function unrelatedGroups(question: AdmissionQuestion, levels: ReadonlyMap<string, number>): readonly TraceStep[] {
  return question.groups.flatMap((entry): readonly TraceStep[] => {
    const named = certificatesNamedBy(entry, question);
    if (named.some(({ certificate }) => levels.has(certificate.sha256))) return [];
    const [reason, sentence] =
      named.length === 0
        ? (['dangling-reference', danglingSentence(entry)] as const)
        : (['not-an-issuer', `The ${nameEntry(entry)} names no certificate that issued this one.`] as const);
    return [entryStep(entry, { outcome: 'lost', reason, sentence })];
  });
}

function certificatesNamedBy({ attestation }: EnrollmentRow, { trust }: Pick<AdmissionQuestion, 'trust'>): readonly NamedCertificate[] {
  if (attestation.type !== 'x509') return [];
  if (attestation.form === 'caReferences') {
    const names = new Set([attestation.primaryName, attestation.secondaryName].map((name) => name?.toLowerCase()));
    return trust.caCertificates.filter((ca) => names.has(ca.name.toLowerCase())).map((ca) => ({ certificate: ca.certificate, ca }));
  }
  const sha256s = new Set([attestation.primary?.sha256, attestation.secondary?.sha256]);
  const inLine = trust.signingCertificates.filter((certificate) => sha256s.has(certificate.sha256));
  return [...new Map(inLine.map((certificate) => [certificate.sha256, { certificate }])).values()];
}

function messageFor(reason: PathFailure): RefusalMessage {
  return reason === 'issuer-not-found' || reason === 'untrusted-root' ? 'CA certificate not found' : 'Invalid certificate';
}

function no(message: RefusalMessage, reason: string, sentence: string): Judgement {
  return { ok: false, message, reason, sentence };
}

function danglingSentence(entry: EnrollmentRow): string {
  return `The ${nameEntry(entry)} refers to a CA certificate that is not there any more. Upload it again, or change the enrollment.`;
}
