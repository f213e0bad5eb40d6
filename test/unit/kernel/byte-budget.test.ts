import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createByteBudget } from '../../../src/kernel/byte-budget.ts';

test('is spent while the accounts together hold as much as it has', () => {
  const budget = createByteBudget(100);
  const [one, two] = [budget.open(), budget.open()];
  one.set(60);
  two.set(39);
  expect([budget.used, budget.isSpent]).toEqual([99, false]);
  two.set(40);
  expect(budget.isSpent).toBe(true);
  one.close();
  one.set(1000);
  expect([budget.used, budget.isSpent]).toEqual([40, false]);
});

test('ends where it began, whatever the accounts do', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(1000))), (steps) => {
      const budget = createByteBudget(1);
      const accounts = Array.from({ length: 5 }, () => budget.open());
      for (const [which, bytes] of steps) accounts[which]?.set(bytes);
      for (const account of accounts) account.close();
      expect(budget.used).toBe(0);
    }),
  );
});
