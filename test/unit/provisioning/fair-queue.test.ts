import fc from 'fast-check';
import { expect, test } from 'vitest';

import { createFairQueue, type FairQueue } from '../../../src/provisioning/fair-queue.ts';

const drain = (queue: FairQueue<string>): string[] => {
  const taken: string[] = [];
  for (let item = queue.next(); item !== undefined; item = queue.next()) taken.push(item);
  return taken;
};

test('one lane has a quarter of the turns, and the others go on', () => {
  const queue = createFairQueue<string>({ concurrent: 8, queued: 100 });
  for (let n = 0; n < 50; n += 1) queue.add('dead', `dead ${n}`);
  queue.add('alive', 'alive');
  expect(drain(queue)).toEqual(['dead 0', 'alive', 'dead 1']);
  queue.remove('alive');
  expect(drain(queue)).toEqual([]);
  queue.remove('dead');
  expect(drain(queue)).toEqual(['dead 2']);
});

test('lanes take turns when all slots are taken, so that many slow ones starve nobody', () => {
  const queue = createFairQueue<string>({ concurrent: 4, queued: 1000 });
  for (const lane of ['a', 'b', 'c', 'd']) for (let n = 0; n < 9; n += 1) queue.add(lane, lane);
  expect(drain(queue)).toEqual(['a', 'b', 'c', 'd']);
  queue.add('late', 'late');
  const turns = ['a', 'b', 'c', 'd', 'a'].flatMap((ended) => {
    queue.remove(ended);
    return drain(queue);
  });
  expect(turns).toEqual(['a', 'b', 'c', 'd', 'late']);
});

test('a lane always has one turn', () => {
  const queue = createFairQueue<string>({ concurrent: 1, queued: 1 });
  expect(queue.isFull('a')).toBe(false);
  queue.add('a', 'a');
  expect(queue.isFull('a')).toBe(true);
  expect(drain(queue)).toEqual(['a']);
});

test('a full lane is full for its own only', () => {
  const queue = createFairQueue<string>({ concurrent: 4, queued: 8 });
  for (const lane of ['a', 'a']) queue.add(lane, lane);
  expect([queue.isFull('a'), queue.isFull('b')]).toEqual([true, false]);
  queue.next();
  queue.pause('a');
  expect(queue.isFull('a')).toBe(true);
  queue.resume('a', 'a');
  queue.next();
  queue.remove('a');
  expect(queue.isFull('a')).toBe(false);
});

test('when everything is full, a newcomer still gets its equal share', () => {
  const queue = createFairQueue<string>({ concurrent: 4, queued: 40 });
  for (const lane of ['a', 'b', 'c', 'd']) for (let n = 0; n < 10; n += 1) queue.add(lane, lane);
  for (let n = 0; n < 8; n += 1) {
    expect(queue.isFull('late')).toBe(false);
    queue.add('late', 'late');
  }
  expect(queue.isFull('late')).toBe(true);
});

test('whatever comes and goes: nothing is lost, no bound is crossed', () => {
  const lane = fc.constantFrom('a', 'b', 'c');
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), lane }),
    fc.record({ kind: fc.constantFrom('next' as const, 'remove' as const, 'pause' as const, 'resume' as const) }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.array(step, { maxLength: 200 }), (concurrent, steps) => {
      const queue = createFairQueue<string>({ concurrent, queued: 1000 });
      const [active, paused]: [string[], string[]] = [[], []];
      let waiting = 0;
      for (const one of steps) {
        if (one.kind === 'add') {
          queue.add(one.lane, one.lane);
          waiting += 1;
        } else if (one.kind === 'next') {
          const taken = queue.next();
          if (taken === undefined) continue;
          waiting -= 1;
          active.push(taken);
        } else if (one.kind === 'resume') {
          const back = paused.shift();
          if (back === undefined) continue;
          queue.resume(back, back);
          waiting += 1;
        } else {
          const gone = active.shift();
          if (gone === undefined) continue;
          queue[one.kind](gone);
          if (one.kind === 'pause') paused.push(gone);
        }
        expect(active.length).toBeLessThanOrEqual(concurrent);
        for (const name of ['a', 'b', 'c']) {
          expect(active.filter((each) => each === name).length).toBeLessThanOrEqual(Math.max(1, Math.floor(concurrent / 4)));
        }
      }
      let left = 0;
      for (;;) {
        for (const name of active.splice(0)) queue.remove(name);
        const taken = drain(queue);
        if (taken.length === 0) break;
        left += taken.length;
        active.push(...taken);
      }
      expect(left).toBe(waiting);
    }),
  );
});
