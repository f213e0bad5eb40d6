import type { Block, Selector, SelectorKind } from '../blocks/block.ts';
import { selectCertificate, selectDeviceId, selectRegistrationId, selectThumbprint } from '../blocks/keys.ts';
import type { SessionBus } from '../hub/ports.ts';
import { createRevocations } from '../hub/revocation.ts';
import { assertNever } from '../kernel/assert-never.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { announceReadmissions } from '../events/readmission.ts';
import { because } from './because.ts';
import { checkEndsLater } from './block-end.ts';
import { readCertificates } from './found-device.ts';
import { sortableId } from './ids.ts';
import { type ForetellDeps, foretellReadmissions } from './readmission.ts';
import { certificateKinds } from './selectors.ts';
import type { BlockRequest, Fleet } from './service.ts';

/** Blocks that an operator writes and lifts by themselves. */
export function createBlocks(deps: ForetellDeps & { readonly bus: SessionBus; readonly ids: Ids; readonly log: Logger }): Fleet['blocks'] {
  const { storage, clock, log } = deps;
  return {
    async get(id) {
      const block = await storage.read.blocks.get(id);
      if (block === undefined) throw new ServiceError('ResourceNotFound', `There is no block '${id}'.`);
      return block;
    },
    list: (page) => storage.read.blocks.list(page),
    async create(request, given) {
      const cause = because(given, request);
      const { reason, ticket, expiresAt } = request;
      checkEndsLater(expiresAt, clock);
      const block: Block = {
        id: sortableId('block', deps),
        selectors: readSelectors(request),
        reason,
        createdBy: cause.by.name,
        createdAt: clock.now(),
        ...(ticket === undefined ? {} : { ticket }),
        ...(expiresAt === undefined ? {} : { expiresAt }),
      };
      const ended = await storage.write(async (transaction) => {
        await transaction.blocks.insert(block);
        return createRevocations(deps, transaction).cutCovered(block.selectors.map(({ key }) => key));
      }, cause);
      await ended();
      log.info('fleet.blocked', { block: block.id, by: cause.by.name });
      return block;
    },
    async lift(id, cause, guard) {
      const block = await storage.read.blocks.get(id);
      // Before the write: what it is asked with reads what is committed.
      const readmissions = block === undefined ? [] : await foretellReadmissions(deps, block);
      await storage.write(async (transaction) => {
        await transaction.blocks.delete(id);
        const told = guard === undefined ? {} : { guard };
        await announceReadmissions(transaction, { deny: { kind: 'block', id }, readmissions, clock, cause, ...told });
      }, cause);
      log.info('fleet.block-lifted', { block: id, by: cause.by.name });
    },
  };
}

function readSelectors({ selectors, certificate, by = ['key'] }: BlockRequest): readonly Selector[] {
  const named = selectors.map(({ kind, value }) => readSelector(kind, value));
  const leaf = certificate === undefined ? undefined : readCertificates(certificate).leaf;
  const taken = leaf === undefined ? [] : by.map((word) => selectCertificate(certificateKinds[word], leaf));
  const all = [...new Map([...named, ...taken].map((selector) => [selector.key, selector])).values()];
  if (all.length === 0) throw new ServiceError('ArgumentInvalid', 'A block names at least one thing.');
  return all;
}

function readSelector(kind: SelectorKind, value: string): Selector {
  switch (kind) {
    case 'registrationId':
      return selectRegistrationId(value);
    case 'deviceId':
      return selectDeviceId(value);
    case 'leaf': {
      const selector = selectThumbprint(value);
      if (selector !== undefined) return selector;
      throw new ServiceError('ArgumentInvalid', 'The leaf is named by its SHA-256, 64 hexadecimal digits.');
    }
    case 'publicKey': {
      const hex = value.replaceAll(':', '').toUpperCase();
      if (/^[0-9A-F]{64}$/u.test(hex)) return { kind, value: hex, key: `publicKey:${hex}` };
      throw new ServiceError(
        'ArgumentInvalid',
        'The public key is named by the SHA-256 of its SubjectPublicKeyInfo, 64 hexadecimal digits.',
      );
    }
    case 'issuerSerial':
    case 'subject':
      throw new ServiceError('ArgumentInvalid', `A block by ${kind} is taken from a certificate. Give the certificate.`);
    default:
      return assertNever(kind);
  }
}
