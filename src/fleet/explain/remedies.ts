import type { ProofRefusal } from '../../hub/proof.ts';
import type { PathFailure } from '../../pki/verify-path.ts';
import type { TraceLine } from '../../contracts/fleet/explanation.ts';

/** For every way in which a path breaks: what makes it whole. */
const pathRemedies: Readonly<Record<PathFailure, string>> = {
  'issuer-not-found':
    "Upload the missing issuer and verify it: 'muster iot dps certificate create --path ISSUER.pem', or put it into an enrollment group. Or let the device send its chain.",
  'untrusted-root':
    "If this root is yours, upload it and prove possession ('muster iot dps certificate create', 'generate-verification-code', 'verify'), or enroll it in a group.",
  expired: 'Issue the expired certificate again. Devices keep their enrollment when the name stays the same.',
  'not-yet-valid': 'Wait until it is valid, or set the clock of this server or of the issuer right.',
  'not-a-ca': 'Issue the issuer again with basicConstraints CA:TRUE, or issue the device certificate from a CA.',
  'path-length': 'Issue from a CA further up, or issue the CA again with a larger pathLenConstraint.',
  'key-usage': 'Issue the CA again with keyCertSign in its keyUsage.',
  'name-constraints': 'Give the device a name that its CA may give, or widen the nameConstraints of the CA.',
  'unknown-critical-extension': 'Issue the certificate again without that extension, or not as critical.',
  'explicit-policy': 'Issue the CA again without requireExplicitPolicy.',
  'weak-algorithm': 'Issue the certificate again with SHA-256 and a key of at least 2048 bits RSA or 256 bits EC.',
  signature: 'Find the certificate that really issued this one, and upload that; or issue the device certificate again.',
  'unsupported-algorithm': 'Issue it again with RSA, ECDSA on a NIST curve, or Ed25519.',
  'algorithm-mismatch': 'Issue it again with a proper CA.',
  'path-too-long': 'Trust a CA further down, by verifying it or enrolling it in a group.',
  'search-limit': 'Upload or send fewer CA certificates of the same name.',
};

const proofRemedies: Readonly<Record<ProofRefusal, string>> = {
  'nothing-presented': 'Configure the device with its certificate or key.',
  'token-malformed': 'Build the token as SharedAccessSignature sr=…&sig=…&se=….',
  'token-expired': 'Make a new token, and check the clock of the device.',
  'token-resource': 'Make the token for HOST/devices/DEVICE of this hub.',
  'token-policy': 'Use a policy of this hub, or the key of the device.',
  'token-right': 'Use a policy with DeviceConnect, or the key of the device.',
  'token-signature': 'Use a current key of the device or of the policy.',
  'token-not-accepted': 'Let the device use its certificate, or change how the identity authenticates.',
  'certificate-unreadable': 'Give the device a certificate in DER or PEM that openssl can read.',
  'certificate-not-accepted': 'Let the device use its key, or change how the identity authenticates.',
  'certificate-not-yet-valid': 'Wait until it is valid, or set the clocks right.',
  'certificate-expired': 'Renew the certificate, and let the device register again.',
  thumbprint: 'Let the device register again, so that the identity learns its new certificate; or write the thumbprint into the identity.',
  'common-name': 'Connect with the id that is in the certificate, or issue another one.',
  chain: 'Verify the CA at the provisioning service that the hub is linked to.',
};

/** The other reasons for which a decision ends, or an entry that should have decided was lost. */
const entryRemedies: Readonly<Record<string, string>> = {
  'no-credential': 'Configure the device with its certificate and key, or with a token.',
  'unreadable-certificate': 'Give the device a certificate that openssl can read.',
  'common-name-differs': 'Let the device register under the id in its certificate, or issue a certificate with that id.',
  'credential-mismatch':
    "Put the device's certificate into its individual enrollment, or delete that enrollment so that its group decides.",
  disabled: "Enable the entry ('muster iot dps enrollment update --provisioning-status enabled'), or delete it.",
  'dangling-reference': 'Upload the CA certificate that the enrollment refers to again, or change the enrollment.',
  'ca-not-verified': "Prove possession of the CA: 'muster iot dps certificate generate-verification-code', then 'verify'.",
  'not-an-issuer': 'Create an enrollment group for an issuer of the certificate, or an individual enrollment for it.',
  'attestation-not-available': 'Enroll the device with a certificate.',
  'unknown-device': 'Let the device register at the provisioning service again, or create its identity.',
  covers:
    'Lift what shuts it out: muster reinstate DEVICE, or muster block delete BLOCK; or let it in once: muster reinstate DEVICE --once --until TIME.',
  'ip-rejected': 'Let its network in by the IP filter of the provisioning service, or take the rule away.',
  'not-found': 'Let the device register again.',
  'no-longer-granted': 'Let the device connect again; what then refuses it says why.',
  'unknown-id-scope': "Configure the device with the id scope of this service; 'muster endpoints' shows it.",
};

const all: Readonly<Record<string, string>> = { ...entryRemedies, ...proofRemedies, ...pathRemedies };

/** What to do, for the steps that ended the decision or broke the path; each advice once. */
export function remediesFor(trace: readonly TraceLine[]): readonly string[] {
  const telling = trace.filter(({ outcome, subject }) => outcome === 'decided' || (subject === 'path' && outcome === 'lost'));
  const last = telling.length === 0 ? trace.slice(-1) : telling;
  // A block that stands refuses whatever else is mended.
  const blocks = trace.filter(({ subject, reason }) => subject === 'block' && reason === 'covers');
  const found = [...blocks, ...last].flatMap(({ subject, reason }) => adviceFor(subject, reason));
  if (found.length > 0) return [...new Set(found)];
  return trace.some(({ subject, outcome }) => subject === 'path' && outcome === 'passed') ? [noEntry] : [];
}

const noEntry =
  "The certificate is trusted, but nothing enrolls it: create an enrollment group for one of its issuers ('muster iot dps enrollment-group create'), or an individual enrollment.";

function adviceFor(subject: string, reason: string): readonly string[] {
  if (subject === 'status' && reason === 'disabled')
    return ["Enable the identity: 'muster iot hub device-identity update --status enabled'."];
  const advice = Object.hasOwn(all, reason) ? all[reason] : undefined;
  return advice === undefined ? [] : [advice];
}
