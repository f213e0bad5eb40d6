import { describe, expect, test } from 'vitest';

import { seconds } from '../../src/kernel/clock.ts';
import type { SqlTransaction } from '../../src/stores/sql/store.ts';
import type { OpenStore } from './open-sqlite.ts';
import { device, expectRefusal, hubName, instanceName, openSeeded, registration, telemetry, twin } from './samples.ts';

/** What `write`, `read` and `close` of a store promise. */
export function describeTransactions(open: OpenStore): void {
  describe('transactions', () => {
    describeAtomicity(open);
    describeEffects(open);
    describeReads(open);
    describeLoad(open);
    describeMisuse(open);
    describeClosing(open);
  });
}

function deferred<T>(): { readonly promise: Promise<T>; resolve(value: T | PromiseLike<T>): void } {
  let settle: ((value: T | PromiseLike<T>) => void) | undefined;
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { promise, resolve: (value) => settle?.(value) };
}

/** A gate that a work waits at, so that a test can look while it is half done. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = deferred<void>();
  return { opened: promise, open: () => resolve() };
}

async function provision(tx: SqlTransaction, id: string): Promise<void> {
  await tx.registrations.put(registration(id));
  await tx.devices.insert(device(id));
  await tx.twins.insert(twin(id));
}

function describeAtomicity(open: OpenStore): void {
  test('a write is kept as a whole, across both domains', async () => {
    const { store } = await openSeeded(open);
    expect(await store.write((tx) => provision(tx, 'one').then(() => 'value'))).toBe('value');
    expect(await store.read.registrations.get(instanceName, 'one')).toBeDefined();
    expect(await store.read.devices.get(hubName, 'one')).toBeDefined();
    expect(await store.read.twins.get(hubName, 'one')).toBeDefined();
  });

  test('a write that throws leaves nothing behind, in neither domain', async () => {
    const { store } = await openSeeded(open);
    const failing = store.write(async (tx) => {
      await provision(tx, 'one');
      await tx.telemetry.append([telemetry('one', 'x')]);
      throw new Error('changed its mind');
    });
    await expect(failing).rejects.toThrow('changed its mind');
    expect(await store.read.registrations.get(instanceName, 'one')).toBeUndefined();
    expect(await store.read.devices.get(hubName, 'one')).toBeUndefined();
    expect(await store.read.twins.get(hubName, 'one')).toBeUndefined();
    expect(await store.read.telemetry.lastSequenceNumber(hubName)).toBe(0);
  });

  test('a write that throws before its first await rejects like any other', async () => {
    const { store } = await openSeeded(open);
    const failing = store.write(() => {
      throw new Error('at once');
    });
    await expect(failing).rejects.toThrow('at once');
    await store.write((tx) => provision(tx, 'one'));
    expect(await store.read.devices.get(hubName, 'one')).toBeDefined();
  });

  test('a write that fails in the middle of a group takes none of its neighbours along', async () => {
    const { store } = await openSeeded(open);
    const ids = Array.from({ length: 200 }, (_, index) => `device-${index}`);
    const results = await Promise.allSettled(
      ids.map((id, index) =>
        store.write(async (tx) => {
          await provision(tx, id);
          if (index % 3 === 1) throw new Error(`no ${id}`);
          return id;
        }),
      ),
    );
    for (const [index, id] of ids.entries()) {
      const failed = index % 3 === 1;
      expect(results[index]).toMatchObject(failed ? { reason: { message: `no ${id}` } } : { value: id });
      expect((await store.read.devices.get(hubName, id))?.deviceId).toBe(failed ? undefined : id);
    }
  });

  test('a refusal that a write handles itself leaves the rest of it standing', async () => {
    const { store } = await openSeeded(open);
    await store.write((tx) => tx.devices.insert(device('one')));
    const outcome = await store.write(async (tx) => {
      await tx.devices.insert(device('two'));
      const refused = await tx.devices.insert(device('one')).then(
        () => 'inserted',
        (error: unknown) => error,
      );
      await tx.devices.insert(device('three'));
      return refused;
    });
    expect(outcome).toMatchObject({ error: 'DeviceAlreadyExists' });
    expect((await store.read.devices.list(hubName, { limit: 10 })).items.map((row) => row.deviceId)).toEqual(['one', 'three', 'two']);
  });

  test('writes run one after the other, in the order of their calls, also where they pause', async () => {
    const { store } = await openSeeded(open);
    const events: string[] = [];
    const write = (name: string) =>
      store.write(async (tx) => {
        events.push(`${name} begins`);
        await tx.devices.list(hubName, { limit: 1 });
        await new Promise((resolve) => setImmediate(resolve));
        await tx.devices.list(hubName, { limit: 1 });
        events.push(`${name} ends`);
      });
    await Promise.all([write('first'), write('second'), write('third')]);
    expect(events).toEqual(['first begins', 'first ends', 'second begins', 'second ends', 'third begins', 'third ends']);
  });

  test('a write sees what the ones before it changed, and its own changes', async () => {
    const { store } = await openSeeded(open);
    const first = store.write((tx) => provision(tx, 'one'));
    const seen = store.write(async (tx) => {
      await provision(tx, 'two');
      return (await tx.devices.list(hubName, { limit: 10 })).items.map((row) => row.deviceId);
    });
    await first;
    expect(await seen).toEqual(['one', 'two']);
  });
}

function describeEffects(open: OpenStore): void {
  test('effects run after the commit, in order, before their writer is told', async () => {
    const { store } = await openSeeded(open);
    const events: string[] = [];
    const write = (name: string) =>
      store
        .write(async (tx) => {
          tx.afterCommit(() => events.push(`${name} effect one`));
          await provision(tx, name);
          tx.afterCommit(() => events.push(`${name} effect two`));
          events.push(`${name} worked`);
        })
        .then(() => events.push(`${name} told`));
    await Promise.all([write('first'), write('second')]);
    expect(events.filter((event) => event.startsWith('first'))).toEqual([
      'first worked',
      'first effect one',
      'first effect two',
      'first told',
    ]);
    expect(events.filter((event) => event.includes('effect'))).toEqual([
      'first effect one',
      'first effect two',
      'second effect one',
      'second effect two',
    ]);
  });

  test('when an effect runs, its rows are committed', async () => {
    const { store } = await openSeeded(open);
    const seen = deferred<unknown>();
    await store.write(async (tx) => {
      tx.afterCommit(() => seen.resolve(store.read.devices.get(hubName, 'one')));
      await provision(tx, 'one');
    });
    expect(await seen.promise).toEqual(device('one'));
  });

  test('an effect of a write that failed never runs', async () => {
    const { store } = await openSeeded(open);
    const events: string[] = [];
    const failing = store.write(async (tx) => {
      tx.afterCommit(() => events.push('never'));
      await provision(tx, 'one');
      throw new Error('changed its mind');
    });
    const other = store.write((tx) => {
      tx.afterCommit(() => events.push('other'));
      return provision(tx, 'two');
    });
    await expect(failing).rejects.toThrow('changed its mind');
    await other;
    expect(events).toEqual(['other']);
  });

  test('an effect that throws is logged, and stops neither the next effect nor its writer', async () => {
    const { store, log } = await openSeeded(open);
    const events: string[] = [];
    const broken = new Error('broken effect');
    await store.write((tx) => {
      tx.afterCommit(() => {
        throw broken;
      });
      tx.afterCommit(() => events.push('next'));
      return provision(tx, 'one');
    });
    expect(events).toEqual(['next']);
    expect(log.named('store.effect-failed')).toEqual([{ error: broken }]);
  });

  test('an effect may start a write of its own', async () => {
    const { store } = await openSeeded(open);
    const chained = deferred<void>();
    await store.write((tx) => {
      tx.afterCommit(() => chained.resolve(store.write((next) => provision(next, 'two'))));
      return provision(tx, 'one');
    });
    await chained.promise;
    expect(await store.read.devices.get(hubName, 'two')).toBeDefined();
  });
}

function describeReads(open: OpenStore): void {
  test('a read sees nothing of a write that is not committed, and all of it afterwards', async () => {
    const { store } = await openSeeded(open);
    const half = gate();
    const proceed = gate();
    const write = store.write(async (tx) => {
      await provision(tx, 'one');
      half.open();
      await proceed.opened;
      await tx.devices.replace(device('one', { etagCounter: 2 }), 1);
    });
    await half.opened;
    const during = store.read.devices.get(hubName, 'one');
    await new Promise((resolve) => setImmediate(resolve));
    proceed.open();
    // Before the write, or, where there is one connection only, after it: never in between.
    expect([undefined, 2]).toContain((await during)?.etagCounter);
    await write;
    expect((await store.read.devices.get(hubName, 'one'))?.etagCounter).toBe(2);
  });

  test('a read after a failed write sees the state before it', async () => {
    const { store } = await openSeeded(open);
    const half = gate();
    const proceed = gate();
    const failing = store.write(async (tx) => {
      await provision(tx, 'one');
      half.open();
      await proceed.opened;
      throw new Error('changed its mind');
    });
    await half.opened;
    const during = store.read.devices.get(hubName, 'one');
    proceed.open();
    await expect(failing).rejects.toThrow('changed its mind');
    expect(await during).toBeUndefined();
  });
}

function describeLoad(open: OpenStore): void {
  test('a write that hangs is reported, one that ends is not', async () => {
    const { store, log, clock } = await openSeeded(open);
    clock.advance(seconds(60));
    expect(log.named('store.group-slow')).toEqual([]);
    const begun = gate();
    const proceed = gate();
    const hanging = store.write(() => {
      begun.open();
      return proceed.opened;
    });
    await begun.opened;
    clock.advance(seconds(10));
    expect(log.named('store.group-slow')).toEqual([{ works: 1, waiting: 0 }]);
    proceed.open();
    await hanging;
    expect(clock.pending).toBe(0);
  });
}

function describeMisuse(open: OpenStore): void {
  test('reading committed state inside a write is refused, not waited for', async () => {
    const { store } = await openSeeded(open);
    await expect(store.write(() => store.read.devices.get(hubName, 'one'))).rejects.toThrow('store.read inside a write');
  });

  test('a write inside a write is refused, not waited for', async () => {
    const { store } = await openSeeded(open);
    await expect(store.write(() => store.write((tx) => provision(tx, 'one')))).rejects.toThrow('a write inside a write');
    expect(await store.read.devices.get(hubName, 'one')).toBeUndefined();
  });

  test('closing inside a write is refused, not waited for', async () => {
    const { store } = await openSeeded(open);
    await expect(store.write(() => store.close())).rejects.toThrow('closed inside a write');
    await store.write((tx) => provision(tx, 'one'));
  });

  test('a transaction cannot be used once its write has ended, nor from another write', async () => {
    const { store } = await openSeeded(open);
    const leaked = await store.write((tx) => Promise.resolve({ tx }));
    await expect(leaked.tx.devices.insert(device('late'))).rejects.toThrow();
    expect(() => leaked.tx.afterCommit(() => undefined)).toThrow('after its write had ended');
    const wake = gate();
    const late = deferred<string>();
    await Promise.all([
      store.write((tx) => {
        void wake.opened
          .then(() => tx.devices.insert(device('stray')))
          .then(
            () => late.resolve('inserted'),
            (error: Error) => late.resolve(error.message),
          );
        return Promise.resolve();
      }),
      store.write(async (tx) => {
        wake.open();
        expect(await late.promise).toContain('outside its write');
        await tx.devices.insert(device('own'));
      }),
    ]);
    expect((await store.read.devices.list(hubName, { limit: 10 })).items.map((row) => row.deviceId)).toEqual(['own']);
  });

  test('committed state cannot be changed through read', async () => {
    const { store } = await openSeeded(open);
    await expect(store.read.devices.insert(device('one'))).rejects.toThrow('store.read was used to change rows');
    await expect(store.read.telemetry.append([telemetry('one', 'x')])).rejects.toThrow('store.read was used to change rows');
    expect(await store.read.devices.get(hubName, 'one')).toBeUndefined();
  });
}

function describeClosing(open: OpenStore): void {
  test('closing finishes the writes that were accepted and refuses the ones after', async () => {
    const { store } = await openSeeded(open);
    const events: string[] = [];
    const accepted = Array.from({ length: 100 }, (_, index) =>
      store.write((tx) => provision(tx, `device-${index}`)).then(() => events.push('written')),
    );
    const closing = store.close().then(() => events.push('closed'));
    await expectRefusal(
      store.write((tx) => provision(tx, 'late')),
      'ShuttingDown',
    );
    await Promise.all([...accepted, closing]);
    expect(events).toEqual([...Array.from({ length: 100 }, () => 'written'), 'closed']);
    await expectRefusal(store.read.devices.get(hubName, 'device-1'), 'ShuttingDown');
  });

  test('closing twice is closing once', async () => {
    const { store, log } = await openSeeded(open);
    await Promise.all([store.close(), store.close()]);
    await store.close();
    expect(log.named('store.closed')).toHaveLength(1);
  });
}
