import { describe, expect, test } from 'vitest';

import { instant } from '../../src/kernel/clock.ts';
import type { OpenStore } from './open-sqlite.ts';
import { instanceName, openSeeded } from './samples.ts';

/** What every implementation of `TpmStore` owes. */
export function describeTpmStore(open: OpenStore): void {
  describe('TpmStore', () => {
    test('keeps the first secret of an instance', async () => {
      const { store } = await openSeeded(open);
      expect(await store.read.tpm.secret(instanceName)).toBeUndefined();
      for (const fill of [1, 2]) await store.write(({ tpm }) => tpm.putSecret(instanceName, Buffer.alloc(32, fill)));
      expect(Buffer.from((await store.read.tpm.secret(instanceName.toUpperCase()))!)).toEqual(Buffer.alloc(32, 1));
      expect(await store.read.tpm.secret('elsewhere')).toBeUndefined();
    });

    test('remembers the latest storage root keys of a device, each once', async () => {
      const { store } = await openSeeded(open);
      const remember = (registrationId: string, fill: number, at: number) =>
        store.write(({ tpm }) =>
          tpm.rememberStorageRootKey({ instance: instanceName, registrationId, storageRootKey: Buffer.alloc(8, fill), at: instant(at) }, 2),
        );
      await remember('Dev', 1, 1000);
      await remember('other', 9, 1000);
      await remember('dev', 2, 2000);
      await remember('DEV', 1, 3000);
      await remember('dev', 3, 4000);
      const known = async (id: string) => (await store.read.tpm.storageRootKeys(instanceName, id)).map((key) => key[0]);
      expect(await known('dev')).toEqual([3, 1]);
      expect(await known('other')).toEqual([9]);
      expect(await store.write(({ tpm }) => tpm.forgetStorageRootKeys(instant(3001)))).toBe(2);
      expect(await known('dev')).toEqual([3]);
    });

    test('the root that was proven last stays, whatever comes after it', async () => {
      const { store } = await openSeeded(open);
      const shown = (fill: number) => ({
        instance: instanceName,
        registrationId: 'dev',
        storageRootKey: Buffer.alloc(8, fill),
        at: instant(1000 * fill),
      });
      const remember = (fill: number) => store.write(({ tpm }) => tpm.rememberStorageRootKey(shown(fill), 2));
      const prove = (fill: number) => store.write(({ tpm }) => tpm.proveStorageRootKey({ ...shown(fill), registrationId: 'DEV' }));
      const known = async () => (await store.read.tpm.storageRootKeys(instanceName, 'dev')).map((key) => key[0]);
      await prove(9);
      for (const fill of [1, 2]) await remember(fill);
      await prove(1);
      for (const fill of [3, 4, 5]) await remember(fill);
      expect(await known()).toEqual([5, 4, 1]);
      await prove(5);
      for (const fill of [6, 7]) await remember(fill);
      expect(await known()).toEqual([7, 6, 5]);
      expect(await store.write(({ tpm }) => tpm.forgetStorageRootKeys(instant(6000)))).toBe(1);
    });
  });
}
