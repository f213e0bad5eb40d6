import { isSignedBy } from '../../access/sas-token.ts';
import { parseStorageKey, type StorageKey } from '../../tpm/public-area.ts';
import type { TpmIdentity } from '../../tpm/seal-key.ts';
import { TpmFormatError } from '../../tpm/tpm-format-error.ts';
import type { EnrollmentRow, StoredAttestation } from '../ports.ts';
import { nameEntry } from '../trace.ts';
import type { AdmissionQuestion, Attestation, Judgement, PresentedTpm } from './attestation.ts';
import { tokenFlaw } from './token-flaw.ts';

/**
 * Attestation with a TPM (2.6), for one device each. Whoever shows the public keys gets a key that only this TPM can open,
 * and has proven to be the device when a token signed with it comes back.
 */
export const tpm: Attestation = {
  type: 'tpm',
  judgeIndividual,
  isTrusted: () => false,
  canJudgeGroups: () => false,
  judgeGroups: () => {
    throw new Error('groups were asked about for a TPM');
  },
};

function judgeIndividual(entry: EnrollmentRow, question: AdmissionQuestion): Judgement {
  const { presented } = question;
  const { attestation } = entry;
  if (attestation.type !== 'tpm' || (presented.kind !== 'sas' && presented.kind !== 'tpm')) {
    return no('credential-mismatch', `The ${nameEntry(entry)} asks for a TPM, and something else was presented.`);
  }
  const enrolled = enrolledKeys(attestation);
  if (!enrolled.ok) return no('tpm-enrolled-key', `The ${nameEntry(entry)} cannot be used: its ${enrolled.why}. Enroll the device again.`);
  const other = presented.tpm === undefined ? undefined : otherKey(presented.tpm, enrolled);
  if (other !== undefined)
    return no(`tpm-other-${other}`, `The ${nameEntry(entry)} names another ${other.replaceAll('-', ' ')} than was presented.`);
  return presented.kind === 'tpm' ? challenge(entry, presented.tpm, enrolled) : judgeToken(entry, enrolled, question);
}

interface EnrolledKeys {
  readonly ok: true;
  readonly endorsementKey: StorageKey;
  readonly storageRootKey: StorageKey | undefined;
}

/** What an operator enrolled, which may be anything that is base64. */
function enrolledKeys({
  endorsementKey,
  storageRootKey,
}: Extract<StoredAttestation, { type: 'tpm' }>): EnrolledKeys | { readonly ok: false; readonly why: string } {
  let which = 'endorsement key';
  try {
    const parsed = parseStorageKey(Buffer.from(endorsementKey, 'base64'));
    which = 'storage root key';
    return {
      ok: true,
      endorsementKey: parsed,
      storageRootKey: storageRootKey === undefined ? undefined : parseStorageKey(Buffer.from(storageRootKey, 'base64')),
    };
  } catch (error) {
    if (error instanceof TpmFormatError) return { ok: false, why: `${which} cannot be read, ${error.message}` };
    throw error;
  }
}

function otherKey(presented: PresentedTpm, enrolled: EnrolledKeys): 'endorsement-key' | 'storage-root-key' | undefined {
  if (!isSame(presented.endorsementKey, enrolled.endorsementKey)) return 'endorsement-key';
  const roots = [presented.storageRootKey, enrolled.storageRootKey].filter((key) => key !== undefined);
  return roots.every((key) => isSame(key, roots[0] ?? key)) ? undefined : 'storage-root-key';
}

function challenge(entry: EnrollmentRow, presented: PresentedTpm, enrolled: EnrolledKeys): Judgement {
  const storageRootKey = presented.storageRootKey ?? enrolled.storageRootKey;
  if (storageRootKey === undefined) {
    return no('tpm-no-storage-root-key', `Neither the device nor the ${nameEntry(entry)} names a storage root key.`);
  }
  const identity: TpmIdentity = { endorsementKey: enrolled.endorsementKey, storageRootKey };
  const sentence = `The ${nameEntry(entry)} names this endorsement key. The device has to prove that it holds it.`;
  return { ok: 'challenge', reason: 'tpm-challenge', sentence, identity };
}

function judgeToken(entry: EnrollmentRow, { endorsementKey }: EnrolledKeys, { presented, tpmKeys, at }: AdmissionQuestion): Judgement {
  if (presented.kind !== 'sas') throw new Error('a token was asked about without one');
  if (tpmKeys.length === 0) {
    return no('tpm-not-challenged', `The ${nameEntry(entry)} asks for a TPM, and the device has not asked for a key to sign with.`);
  }
  const signer = tpmKeys.find(({ keys }) => isSignedBy(presented.token, [keys.registration]));
  if (signer === undefined)
    return no('token-signature', `The token was not signed with the key that was sealed for the TPM of the ${nameEntry(entry)}.`);
  const flaw = tokenFlaw(presented.token, at);
  if (flaw !== undefined) return no(flaw.reason, flaw.sentence);
  const sentence = `The token was signed with the key that only the TPM of the ${nameEntry(entry)} can open.`;
  const { storageRootKey, keys } = signer;
  return { ok: true, reason: 'tpm', sentence, proof: { type: 'tpm', identity: { endorsementKey, storageRootKey }, keys } };
}

const isSame = (a: StorageKey, b: StorageKey): boolean => Buffer.compare(a.bytes, b.bytes) === 0;

function no(reason: string, sentence: string): Judgement {
  return { ok: false, message: 'Unauthorized', reason, sentence };
}
