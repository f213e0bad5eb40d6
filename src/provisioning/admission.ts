import type { Block } from '../blocks/block.ts';
import { keysOf } from '../blocks/keys.ts';
import { judgeBlocks } from '../blocks/rule.ts';
import { assertNever } from '../kernel/assert-never.ts';
import type { ErrorName } from '../kernel/error-table.ts';
import type { SasToken } from '../access/sas-token.ts';
import type { Certificate } from '../pki/certificate.ts';
import { nameOf, printable } from '../pki/printable.ts';
import type { AdmissionQuestion, Proof, RefusalMessage } from './attestation/attestation.ts';
import { attestationOf, attestations } from './attestation/attestations.ts';
import type { TpmIdentity } from '../tpm/seal-key.ts';
import { resourceMismatch } from './attestation/registration-resource.ts';
import { holdsLeaf } from './attestation/x509.ts';
import { describeRule, judgeAddress } from './ip-filter.ts';
import type { EnrollmentRow } from './ports.ts';
import { blockStep, entryStep, nameEntry, type TraceStep } from './trace.ts';

export type Verdict =
  | {
      readonly kind: 'admit';
      readonly entry: EnrollmentRow;
      readonly proof: Proof;
      /** Blocks whose one readmission this registration uses up. */
      readonly readmitting: readonly Block[];
      readonly trace: readonly TraceStep[];
    }
  | {
      readonly kind: 'disabled';
      /** What shuts the device out: a disabled entry, or a block. */
      readonly entry?: EnrollmentRow;
      readonly block?: Block;
      /**
       * Whether the peer has proven to be the device. A disabled entry under a registration id blocks whatever is
       * presented, so a stranger can get this answer, too; what he does must not be recorded as the device's.
       */
      readonly authenticated: boolean;
      readonly trace: readonly TraceStep[];
    }
  | {
      /** It has shown the public keys of an enrolled TPM, and has yet to prove that it holds them. */
      readonly kind: 'challenge';
      readonly entry: EnrollmentRow;
      readonly identity: TpmIdentity;
      readonly trace: readonly TraceStep[];
    }
  | {
      readonly kind: 'refuse';
      readonly error: ErrorName;
      /** For the device. */
      readonly message: RefusalMessage;
      /** For operators: a sentence that says what to mend. */
      readonly detail: string;
      readonly trace: readonly TraceStep[];
    };

type Decision =
  | { readonly kind: 'admit'; readonly entry: EnrollmentRow; readonly proof: Proof }
  | { readonly kind: 'disabled'; readonly entry?: EnrollmentRow; readonly block?: Block; readonly authenticated: boolean }
  | { readonly kind: 'challenge'; readonly entry: EnrollmentRow; readonly identity: TpmIdentity }
  | { readonly kind: 'refuse'; readonly message: RefusalMessage; readonly detail: string };

type Note = (step: TraceStep) => void;
type Rule = (question: AdmissionQuestion, note: Note) => Decision | undefined;

/** The order of evaluation (chapter 3.1 of the wire reference); the first rule that decides ends it. */
const rules: readonly Rule[] = [
  checkAddress,
  checkCredential,
  checkSubject,
  denyByBlock,
  denyIndividually,
  decideIndividually,
  decideByGroup,
  missTpm,
];

/**
 * The decision whether a device may register, and all its reasons. Pure: registration acts on it, `explain` prints it,
 * and nothing else implements any of these rules.
 *
 * Expiry comes after the individual denies: a device that was shut out is told so, though its certificate has run out,
 * too. A credential for another id comes before them, because whoever holds a blocked certificate must not be able to
 * act under the ids of others.
 */
export function decideAdmission(question: AdmissionQuestion): Verdict {
  const trace: TraceStep[] = [];
  const note: Note = (step) => void trace.push(step);
  for (const rule of rules) {
    const decision = rule(question, note);
    if (decision !== undefined) return conclude(decision, question, trace);
  }
  return conclude(refuse('Unauthorized', 'No enrollment matches what was presented.'), question, trace);
}

function conclude(decision: Decision, question: AdmissionQuestion, trace: readonly TraceStep[]): Verdict {
  if (decision.kind === 'disabled' || decision.kind === 'challenge') return { ...decision, trace };
  if (decision.kind === 'admit') return { ...decision, readmitting: askBlocks(question).readmitting, trace };
  // TPM alone answers an unknown id with 404201 (3.2); certificates and keys with 401002, whatever was wrong.
  const error = decision.message === 'Enrollment not found.' ? 'DpsEnrollmentNotFound' : 'DpsUnauthorized';
  return { ...decision, error, trace };
}

// Before anything else (3.1 step 2), and the refusal does not mention the rule (6.4).
function checkAddress({ remoteAddress, ipFilterRules }: AdmissionQuestion, note: Note): Decision | undefined {
  const { accepted, rule } = judgeAddress(ipFilterRules, { target: 'deviceApi', remoteAddress });
  if (rule === undefined) return undefined;
  const sentence = `The ${describeRule(rule)} holds the address ${printable(remoteAddress)}.`;
  note({ subject: 'address', outcome: accepted ? 'passed' : 'decided', reason: accepted ? 'ip-accepted' : 'ip-rejected', sentence });
  return accepted ? undefined : refuse('Unauthorized', sentence);
}

function checkCredential({ presented }: AdmissionQuestion, note: Note): Decision | undefined {
  switch (presented.kind) {
    case 'none':
      return refuseStep(note, 'no-credential', 'Neither a client certificate nor a token was presented.', 'Unauthorized');
    case 'unreadable':
      return refuseStep(
        note,
        `unreadable-${presented.what}`,
        presented.detail,
        presented.what === 'certificate' ? 'Invalid certificate' : 'Unauthorized',
      );
    case 'tpm':
      note({ subject: 'credential', outcome: 'passed', reason: 'tpm', sentence: 'The public keys of a TPM were presented.' });
      return undefined;
    case 'sas':
      note({ subject: 'credential', outcome: 'passed', reason: 'sas', sentence: 'A shared access signature was presented.' });
      return undefined;
    case 'x509': {
      const sentence = `The ${nameOf(presented.leaf)} was presented, with ${presented.sent.length} others.`;
      note({ subject: 'credential', outcome: 'passed', reason: 'x509', sentence });
      return undefined;
    }
    default:
      return assertNever(presented);
  }
}

/** Whether the credential is for the id that is asked for. */
function checkSubject(question: AdmissionQuestion, note: Note): Decision | undefined {
  if (question.presented.kind === 'sas') return checkResource(question.presented.token, question, note);
  return question.presented.kind === 'x509' ? checkCommonName(question.presented.leaf, question, note) : undefined;
}

// 1.7 step 4.
function checkResource(token: SasToken, { idScope, registrationId }: AdmissionQuestion, note: Note): Decision | undefined {
  const mismatch = resourceMismatch(token, { idScope, registrationId });
  if (mismatch === undefined) {
    note({ subject: 'resource', outcome: 'passed', reason: 'equal', sentence: 'It is for this id scope and registration id.' });
    return undefined;
  }
  note({ subject: 'resource', outcome: 'decided', ...mismatch });
  return refuse('Unauthorized', mismatch.sentence);
}

// 2.1 and 2.3: it binds the certificate to the id, for individual enrollments of another id, too.
function checkCommonName({ commonName }: Certificate, { registrationId }: AdmissionQuestion, note: Note): Decision | undefined {
  if (commonName !== undefined && isSameId(commonName, registrationId)) {
    note({ subject: 'common-name', outcome: 'passed', reason: 'equal', sentence: 'Its common name is the registration id.' });
    return undefined;
  }
  const found = commonName === undefined ? 'no common name' : `the common name ${printable(commonName)}`;
  const detail = `The certificate has ${found}, but '${registrationId}' wants to register. Ask for the id in the certificate, or issue another one.`;
  note({ subject: 'common-name', outcome: 'decided', reason: 'common-name-differs', sentence: detail });
  return refuse('Invalid certificate: its common name is not the registration ID.', detail);
}

/** Without the case of ASCII letters only: to Unicode a Kelvin sign is a k as well, and its certificate would be another device's. */
function isSameId(commonName: string, registrationId: string): boolean {
  return /^[ -~]*$/u.test(commonName) && commonName.toLowerCase() === registrationId.toLowerCase();
}

/** An operator's deny comes before every entry, and holds for certificates that no entry has heard of. */
function denyByBlock(question: AdmissionQuestion, note: Note): Decision | undefined {
  const { findings, blocked } = askBlocks(question);
  const own = blocked === undefined ? undefined : inOrder(question)[0];
  const challenge = own && challengeFirst(own.entry, question, note);
  if (challenge !== undefined) return challenge;
  for (const finding of findings) note(blockStep(finding, finding === blocked));
  if (blocked === undefined) return undefined;
  // Holding a blocked key proves nothing about the id: its holder can write any name into a certificate of his own.
  return { kind: 'disabled', block: blocked.block, authenticated: isKnown(question) };
}

function askBlocks({ blocks, presented, registrationId, purpose, at }: AdmissionQuestion) {
  const keys = keysOf({ registrationId, ...(presented.kind === 'x509' ? { certificate: presented.leaf } : {}) });
  return judgeBlocks({ blocks, keys, purpose, at });
}

/** Whether the peer would be this device if nothing shut it out. */
function isKnown(question: AdmissionQuestion): boolean {
  const own = inOrder(question)[0];
  if (own !== undefined) return own.holds || isAuthentic(own.entry, question);
  return attestations.some((attestation) => attestation.isTrusted(question));
}

/** Deny wins over everything, the other individual enrollments included. */
function denyIndividually(question: AdmissionQuestion, note: Note): Decision | undefined {
  const considered = inOrder(question);
  const deny = considered.find(({ entry }) => entry.provisioningStatus === 'disabled');
  if (deny === undefined) return undefined;
  const challenge = challengeFirst(deny.entry, question, note);
  if (challenge !== undefined) return challenge;
  for (const { entry } of considered.filter((other) => other !== deny)) {
    const sentence = `The ${nameEntry(entry)} matches, too, but a disabled one decides before it.`;
    note(entryStep(entry, { outcome: 'lost', reason: 'deny-wins', sentence }));
  }
  const why = deny.holds ? 'holds the certificate that was presented' : 'has this registration id';
  const sentence = `The ${nameEntry(deny.entry)} ${why}, and is disabled. Enrollment groups are not consulted.`;
  note(entryStep(deny.entry, { outcome: 'decided', reason: 'disabled', sentence }));
  return { kind: 'disabled', entry: deny.entry, authenticated: deny.holds || isAuthentic(deny.entry, question) };
}

/**
 * A TPM proves itself in two steps, and only the second can be told of a deny: clients take nothing but a challenge for an
 * answer to the first (2.6).
 */
function challengeFirst(entry: EnrollmentRow, question: AdmissionQuestion, note: Note): Decision | undefined {
  if (question.presented.kind !== 'tpm' || entry.attestation.type !== 'tpm') return undefined;
  const judgement = attestationOf(entry).judgeIndividual(entry, question);
  if (judgement.ok !== 'challenge') return undefined;
  note(entryStep(entry, { outcome: 'decided', reason: judgement.reason, sentence: judgement.sentence }));
  return { kind: 'challenge', entry, identity: judgement.identity };
}

function decideIndividually(question: AdmissionQuestion, note: Note): Decision | undefined {
  const [first, ...others] = inOrder(question);
  if (first === undefined) return undefined;
  for (const { entry } of others) {
    const sentence = `The ${nameEntry(entry)} comes after the one that decides.`;
    note(entryStep(entry, { outcome: 'lost', reason: 'later', sentence }));
  }
  const { entry } = first;
  const judgement = attestationOf(entry).judgeIndividual(entry, question);
  note(entryStep(entry, { outcome: 'decided', reason: judgement.reason, sentence: judgement.sentence }));
  if (judgement.ok === 'challenge') return { kind: 'challenge', entry, identity: judgement.identity };
  return judgement.ok ? { kind: 'admit', entry, proof: judgement.proof } : refuse(judgement.message, judgement.sentence);
}

function decideByGroup(question: AdmissionQuestion, note: Note): Decision | undefined {
  const attestation = attestations.find((candidate) => candidate.canJudgeGroups(question));
  if (attestation === undefined) return undefined;
  const { steps, decision } = attestation.judgeGroups(question);
  for (const step of steps) note(step);
  // A group matches only below a path that was validated, or by a key derived from its own: the device is who it says it is.
  return decision.kind === 'disabled' ? { ...decision, authenticated: true } : decision;
}

// 3.1 step 5: a TPM is enrolled under its own id, or not at all.
function missTpm({ presented, registrationId }: AdmissionQuestion, note: Note): Decision | undefined {
  if (presented.kind !== 'tpm' && (presented.kind !== 'sas' || presented.tpm === undefined)) return undefined;
  const sentence = `No individual enrollment has the id '${registrationId}', and groups take no TPM. Enroll the device.`;
  note({ subject: 'individual', outcome: 'decided', reason: 'not-enrolled', sentence });
  return refuse('Enrollment not found.', sentence);
}

interface Considered {
  readonly entry: EnrollmentRow;
  /** Holds the leaf that was presented. */
  readonly holds: boolean;
}

/** Entries that hold the leaf before the one that has the id only; among the former the one that has the id, too, then by id. */
function inOrder({ individuals, presented, registrationId }: AdmissionQuestion): readonly Considered[] {
  const isNamed = (entry: EnrollmentRow): boolean => entry.id.toLowerCase() === registrationId.toLowerCase();
  const holds = (entry: EnrollmentRow): boolean => presented.kind === 'x509' && holdsLeaf(entry, presented.leaf);
  const rank = ({ entry, holds: held }: Considered): number => (held ? 0 : 2) + (isNamed(entry) ? 0 : 1);
  return individuals
    .map((entry) => ({ entry, holds: holds(entry) }))
    .filter((considered) => considered.holds || isNamed(considered.entry))
    .toSorted((a, b) => rank(a) - rank(b) || (a.entry.id < b.entry.id ? -1 : 1));
}

/** Whether the peer would be this device if nothing were disabled: by the entry itself, or by a trusted issuer. */
function isAuthentic(entry: EnrollmentRow, question: AdmissionQuestion): boolean {
  if (attestationOf(entry).judgeIndividual(entry, question).ok === true) return true;
  return attestations.some((attestation) => attestation.isTrusted(question));
}

function refuseStep(note: Note, reason: string, sentence: string, message: RefusalMessage): Decision {
  note({ subject: 'credential', outcome: 'decided', reason, sentence });
  return refuse(message, sentence);
}

function refuse(message: RefusalMessage, detail: string): Decision {
  return { kind: 'refuse', message, detail };
}
