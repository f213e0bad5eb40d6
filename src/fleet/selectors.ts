import type { Selector } from '../blocks/block.ts';
import { selectCertificate, selectDeviceId, selectRegistrationId } from '../blocks/keys.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { FoundDevice } from './found-device.ts';
import type { BlockBy } from './service.ts';

/** The kind of selector behind each word that takes a certificate. */
export const certificateKinds = { key: 'publicKey', leaf: 'leaf', serial: 'issuerSerial', subject: 'subject' } as const;

/**
 * What a block is to name. Absent `by`: both ids, since a certificate of another name cannot register under them, and
 * the public key, since whoever holds it is the device. Throws `ArgumentInvalid` when nothing is known to name.
 */
export function selectorsFor(device: FoundDevice, by: readonly BlockBy[] | undefined): readonly Selector[] {
  const wanted = by ?? usual(device);
  const selectors = wanted.flatMap((word) => selectorsOf(device, word, by === undefined));
  if (selectors.length > 0) return [...new Map(selectors.map((selector) => [selector.key, selector])).values()];
  throw new ServiceError('ArgumentInvalid', 'Nothing is known of this device that a block could name. Give its certificate.');
}

/** A key that other devices have, too, is not this device: naming it would shut them out as well. */
function usual({ chain, thumbprint, keySharers }: FoundDevice): readonly BlockBy[] {
  if (keySharers.length > 0) return ['id', 'leaf'];
  return chain === undefined && thumbprint === undefined ? ['id'] : ['id', 'key'];
}

function selectorsOf(device: FoundDevice, word: BlockBy, byDefault: boolean): readonly Selector[] {
  if (word === 'id') return [...device.registrationIds.map(selectRegistrationId), ...device.deviceIds.map(selectDeviceId)];
  if (device.chain !== undefined) return [selectCertificate(certificateKinds[word], device.chain.leaf)];
  if (device.thumbprint !== undefined && (word === 'leaf' || byDefault)) {
    return [{ kind: 'leaf', value: device.thumbprint, key: `thumbprint:${device.thumbprint}` }];
  }
  throw new ServiceError(
    'ArgumentInvalid',
    `To block by ${word}, the certificate of the device is needed, and none is known. Give it, or block by id.`,
  );
}
