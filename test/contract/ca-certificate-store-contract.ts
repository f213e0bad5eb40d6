import { describe, expect, test } from 'vitest';

import { instant } from '../../src/kernel/clock.ts';
import type { CaCertificateRow } from '../../src/provisioning/ports.ts';
import type { SqlStore } from '../../src/stores/sql/store.ts';
import type { OpenStore } from './open-sqlite.ts';
import { caBytes, caCertificate, expectRefusal, instanceName, openSeeded } from './samples.ts';

const insert = (store: SqlStore, ...rows: readonly CaCertificateRow[]): Promise<void> =>
  store.write(async (tx) => {
    for (const row of rows) await tx.caCertificates.insert(row);
  });

/** What every implementation of `CaCertificateStore` owes. */
export function describeCaCertificateStore(open: OpenStore): void {
  describe('CaCertificateStore', () => {
    test('gives back what was stored, by a name in any case', async () => {
      const { store } = await openSeeded(open);
      const coded = caCertificate('Coded', { verificationCode: 'ABCDEF', verificationCodeExpiresAt: instant(1_900_000_000_000) });
      await insert(store, caCertificate('Root-One'), coded);
      expect(await store.read.caCertificates.get('dps-local', 'ROOT-one')).toEqual(caCertificate('Root-One'));
      expect(await store.read.caCertificates.list(instanceName)).toEqual([coded, caCertificate('Root-One')]);
      expect(await store.read.caCertificates.get(instanceName, 'none')).toBeUndefined();
      expect(await store.read.caCertificates.list('elsewhere')).toEqual([]);
    });

    test('a name that is taken in another case is refused', async () => {
      const { store } = await openSeeded(open);
      await insert(store, caCertificate('root'));
      await expectRefusal(insert(store, caCertificate('ROOT', { etag: 'intruder' })), 'ResourceExists');
      expect(await store.read.caCertificates.list(instanceName)).toEqual([caCertificate('root')]);
    });

    test('replacing compares the etag, exchanges everything but the name, and says what is wrong', async () => {
      const { store } = await openSeeded(open);
      await insert(store, caCertificate('Root', { verificationCode: 'ABCDEF', verificationCodeExpiresAt: instant(1_900_000_000_000) }));
      const next = caCertificate('root', {
        etag: 'next',
        ...caBytes('renewed'),
        isVerified: true,
        updatedAt: instant(1_800_000_000_000),
      });
      const replace = (row: CaCertificateRow, etag?: string) => store.write((tx) => tx.caCertificates.replace(row, etag));
      await expectRefusal(replace(next, 'stale'), 'DpsPreconditionFailed');
      await expectRefusal(replace(caCertificate('none'), 'stale'), 'ResourceNotFound');
      await expectRefusal(replace(caCertificate('none')), 'ResourceNotFound');
      await replace(next, 'etag-of-Root');
      expect(await store.read.caCertificates.get(instanceName, 'root')).toEqual({ ...next, name: 'Root' });
      await replace({ ...next, etag: 'last' });
      expect((await store.read.caCertificates.get(instanceName, 'root'))?.etag).toBe('last');
    });

    test('of two writers with the same etag one wins', async () => {
      const { store } = await openSeeded(open);
      await insert(store, caCertificate('root'));
      const attempt = (etag: string) => store.write((tx) => tx.caCertificates.replace(caCertificate('root', { etag }), 'etag-of-root'));
      const [first, second] = await Promise.allSettled([attempt('first'), attempt('second')]);
      expect(first.status).toBe('fulfilled');
      expect(second).toMatchObject({ status: 'rejected', reason: { error: 'DpsPreconditionFailed' } });
    });

    test('deleting compares the etag and says what is wrong', async () => {
      const { store } = await openSeeded(open);
      await insert(store, caCertificate('root'), caCertificate('other'));
      const remove = (name: string, etag?: string) => store.write((tx) => tx.caCertificates.delete(instanceName, name, etag));
      await expectRefusal(remove('root', 'stale'), 'DpsPreconditionFailed');
      await expectRefusal(remove('none'), 'ResourceNotFound');
      await remove('ROOT', 'etag-of-root');
      await remove('other');
      expect(await store.read.caCertificates.list(instanceName)).toEqual([]);
    });
  });
}
