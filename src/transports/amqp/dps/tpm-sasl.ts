import type { PeerInfo, PresentedCredentials } from '../../../contracts/transport.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { TpmChallenges } from '../../../provisioning/service.ts';
import type { SaslExchange } from '../engine/sasl.ts';

/** The SASL mechanism `TPM` of one connection (DPS chapter 1.6.6), and what it brought. */
export interface TpmSasl {
  /** A new exchange; the last one that ended well counts. */
  exchange(): SaslExchange;
  /** The token, and the public keys of the TPM that it comes from; not judged. */
  credentials(): Pick<PresentedCredentials, 'sasToken' | 'tpm'>;
}

/** Control bytes of the two segments: Java takes exactly these. Bit 7: key data; bit 6: the last; then the number. */
const segments = { first: 0x80, last: 0xc1 } as const;
/** A public area is some three hundred bytes long, a token some hundreds. */
const mostBytes = 4096;

/**
 * Hands a sealed key to whoever asks, and takes the token that was signed with it. Whether that is any good shows at the
 * registration, which can say why: an outcome of SASL cannot.
 */
export function createTpmSasl(asked: Asked): TpmSasl {
  let proven: Pick<PresentedCredentials, 'sasToken' | 'tpm'> = {};
  return {
    exchange: () => converse(asked, (credentials) => void (proven = credentials)),
    credentials: () => proven,
  };
}

/** Who hands keys out, and where the peer comes from. */
interface Asked {
  readonly tpmChallenges: TpmChallenges;
  readonly peer: PeerInfo;
}

type Conversation = AsyncGenerator<Buffer, boolean, Buffer>;

function converse(asked: Asked, onToken: (credentials: Pick<PresentedCredentials, 'sasToken' | 'tpm'>) => void): SaslExchange {
  let conversation: Conversation | undefined;
  let over = false;
  return {
    async next(response) {
      if (over || response.length > mostBytes) return false;
      // A generator drops what comes with its first `next`; the initial response is its argument.
      conversation ??= steps(asked, response, onToken);
      try {
        const { done, value } = await conversation.next(response);
        over = done === true;
        return value;
      } catch (error) {
        over = true;
        // An id scope that is not there, keys that are none, or too many at once: the mechanism has failed, and nothing is broken.
        if (error instanceof ServiceError && (!error.row.retryable || error.error === 'Throttled')) return false;
        throw error;
      }
    },
  };
}

async function* steps(
  asked: Asked,
  initial: Buffer,
  onToken: (credentials: Pick<PresentedCredentials, 'sasToken' | 'tpm'>) => void,
): Conversation {
  const device = parseInitial(initial);
  if (device === undefined) return false;
  const storageRootKey = afterZero(yield Buffer.from([0]));
  if (storageRootKey === undefined) return false;
  const sealed = Buffer.from(await asked.tpmChallenges.sealedKey({ ...device, storageRootKey, peer: asked.peer }));
  const middle = Math.ceil(sealed.length / 2);
  yield Buffer.concat([Buffer.from([segments.first]), sealed.subarray(0, middle)]);
  const token = afterZero(yield Buffer.concat([Buffer.from([segments.last]), sealed.subarray(middle)]));
  if (token === undefined || token.length === 0) return false;
  onToken({ sasToken: token.toString('utf8'), tpm: { endorsementKey: device.endorsementKey, storageRootKey } });
  return true;
}

/** NUL, id scope, NUL, registration id, NUL, endorsement key. */
function parseInitial(
  bytes: Buffer,
): { readonly idScope: string; readonly registrationId: string; readonly endorsementKey: Buffer } | undefined {
  if (bytes[0] !== 0) return undefined;
  const second = bytes.indexOf(0, 1);
  const third = second < 0 ? -1 : bytes.indexOf(0, second + 1);
  if (third < 0) return undefined;
  const [idScope, registrationId] = [bytes.toString('utf8', 1, second), bytes.toString('utf8', second + 1, third)];
  return idScope === '' || registrationId === '' ? undefined : { idScope, registrationId, endorsementKey: bytes.subarray(third + 1) };
}

function afterZero(bytes: Buffer): Buffer | undefined {
  return bytes[0] === 0 ? bytes.subarray(1) : undefined;
}
